"""Open files as results: their whole content is stored, wherever they stand, and they are left where they stood."""

# ruff: noqa: SIM115  # the files are closed by the test that is given them

from __future__ import annotations

import codecs
import gzip
import io
import os
import tempfile
from email.message import Message
from urllib.error import HTTPError

import pyarrow as pa
import pytest

from lucas_storage import with_storage
from lucas_storage.errors import NoFormatError

TEXT = "first ä\nsecond\n"
DATA = TEXT.encode()


def written(file, content=DATA):
    file.write(content)
    return file


def half_read(file):
    file.read(3)
    return file


def in_a_loop(file):
    next(file)
    return file


FILES = {
    "BytesIO, written": lambda path: written(io.BytesIO()),
    "BytesIO, made of bytes": lambda path: io.BytesIO(DATA),
    "BytesIO, half read": lambda path: half_read(io.BytesIO(DATA)),
    "TemporaryFile": lambda path: written(tempfile.TemporaryFile()),
    "NamedTemporaryFile": lambda path: written(tempfile.NamedTemporaryFile()),
    "SpooledTemporaryFile": lambda path: written(tempfile.SpooledTemporaryFile()),
    "SpooledTemporaryFile, on disk": lambda path: written(tempfile.SpooledTemporaryFile(max_size=4)),
    "file, read and written": lambda path: written(path.with_name("new").open("w+b")),
    "file, appended to": lambda path: path.open("a+b"),
    "file": lambda path: path.open("rb"),
    "file, half read": lambda path: half_read(path.open("rb")),
    "file without a buffer": lambda path: path.open("rb", buffering=0),
    "file of pyarrow": lambda path: pa.BufferReader(DATA),
    "map of pyarrow": lambda path: pa.memory_map(str(path)),
}
TEXT_FILES = {
    "StringIO, written": lambda path: written(io.StringIO(), TEXT),
    "text file, read and written": lambda path: written(path.with_name("new").open("w+", encoding="latin-1"), TEXT),
    "text file, in a loop over its lines": lambda path: in_a_loop(path.open(encoding="utf-8")),
    "temporary text file": lambda path: written(tempfile.TemporaryFile("w+", encoding="utf-8"), TEXT),
    "named temporary text file": lambda path: written(tempfile.NamedTemporaryFile("w+", encoding="utf-8"), TEXT),
    "file of codecs": lambda path: codecs.open(str(path), "r", "utf-8"),
}


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "data.txt"
    found.write_bytes(DATA)
    return found


def position(file):
    try:
        return file.tell()
    except OSError:
        return None


@pytest.mark.few(8)
@pytest.mark.filterwarnings("ignore:codecs.open")
@pytest.mark.parametrize("make", [*FILES.values(), *TEXT_FILES.values()], ids=[*FILES, *TEXT_FILES])
def test_the_whole_content_of_an_open_file_is_stored_and_its_position_stays(storage, path, make):
    is_text = make in TEXT_FILES.values()
    with make(path) as file:
        before = position(file)
        ref = storage.put(file)
        after = position(file)

    assert ref.format == ("text@1" if is_text else "bytes@1")
    assert storage.get(ref) == (TEXT if is_text else DATA)
    assert before is None or before == after


def test_a_step_that_returns_the_buffer_it_wrote_hands_on_its_bytes(settings, storage):
    @with_storage
    def render() -> bytes:
        return written(io.BytesIO(), b"x" * 100_000)

    @with_storage
    def listed():
        return {"files": [written(io.BytesIO(), b"a" * 5000), written(io.StringIO(), "b" * 5000)]}

    assert storage.get(render()) == b"x" * 100_000
    assert [storage.get(ref) for ref in listed()["files"]] == [b"a" * 5000, "b" * 5000]


def test_a_large_buffer_is_stored_in_parts(storage, small_parts):
    content = os.urandom(50_000)

    assert storage.get(storage.put(written(io.BytesIO(), content))) == content


def test_a_compressed_file_that_is_read_gives_its_content(storage, path):
    packed = gzip.compress(DATA)

    with gzip.open(io.BytesIO(packed)) as file:
        assert storage.get(storage.put(half_read(file))) == DATA


def test_a_file_that_cannot_be_sought_gives_what_is_left_of_it(storage):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(DATA)
    with os.fdopen(reading, "rb") as file:
        file.read(1)
        assert storage.get(storage.put(file)) == DATA[1:]


def test_a_format_that_is_asked_for_names_what_the_file_holds(storage):
    assert storage.get(storage.put(written(io.StringIO(), "[1]"), format="json")) == [1]
    assert storage.get(storage.put(written(io.StringIO(), "ä"), format="bytes")) == "ä".encode()
    assert storage.get(storage.put(written(io.BytesIO(), b"[1]"), format="json")) == [1]


def refused(path):
    closed = io.BytesIO(DATA)
    closed.close()
    yield closed, "is closed"
    spooled = tempfile.SpooledTemporaryFile()
    spooled.close()
    yield spooled, "is closed"
    with path.with_name("out").open("wb") as file:
        yield file, "writing only"
    with path.with_name("out").open("w", encoding="utf-8") as file:
        yield file, "writing only"
    with gzip.open(io.BytesIO(), "wb") as file:
        yield file, "writing only"
    with pa.BufferOutputStream() as file:
        yield file, "writing only"
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "wb"), os.fdopen(reading, "rb", buffering=0) as file:
        yield file, "non-blocking"


def test_a_file_that_cannot_be_read_is_refused_by_name(storage, path):
    for file, reason in refused(path):
        with pytest.raises(NoFormatError, match=reason) as caught:
            storage.put(file)
        assert type(file).__name__ in str(caught.value)


def test_an_exception_that_is_a_response_as_well_is_an_exception(settings):
    error = HTTPError("http://server/page", 404, "not found", Message(), io.BytesIO(b"a page"))

    @with_storage
    def failed():
        return [error]

    @with_storage
    def seen(errors):
        return type(errors[0]).__name__, errors[0].code, errors[0].reason

    assert seen(failed()) == ("HTTPError", 404, "not found")
