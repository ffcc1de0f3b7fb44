"""Open files: modes, text, compression, caches, and writers that publish all or nothing."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from actorc.storage.errors import PreconditionFailedError

fsspec = pytest.importorskip("fsspec")

DATA = bytes(range(256)) * 8192  # 2 MiB
LINES = "eins\nzwei\r\nfünf\n"


class BodyError(Exception):
    pass


def test_a_file_that_is_read_is_seekable_and_knows_what_it_is(transported):
    transported.pipe_file("bucket/key", DATA)

    with transported.open("lucas://bucket/key", "rb") as file:
        assert (file.size, file.path, file.mode, file.full_name) == (
            len(DATA),
            "bucket/key",
            "rb",
            "lucas://bucket/key",
        )
        assert (file.readable(), file.seekable(), file.writable(), file.closed) == (True, True, False, False)
        assert file.info()["name"] == "bucket/key"
        assert file.read(3) == DATA[:3]
        assert file.seek(-5, 2) == len(DATA) - 5
        assert file.read() == DATA[-5:]
        assert file.read(1) == b""
        assert file.seek(1000) == 1000
        buffer = bytearray(10)
        assert (file.readinto(buffer), bytes(buffer), file.tell()) == (10, DATA[1000:1010], 1010)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_lines_are_those_of_a_file(fs):
    fs.pipe_file("bucket/key", LINES.encode())

    with fs.open("bucket/key") as file:
        assert list(file) == file.seek(0) * [b""] + LINES.encode().splitlines(keepends=True)
        assert file.readline() == b"eins\n"
        assert next(file) == b"zwei\r\n"
    for options, expected in (({}, LINES.replace("\r\n", "\n")), ({"newline": ""}, LINES)):
        with fs.open("bucket/key", "rt", **options) as file:
            assert file.read() == expected
    assert fs.read_text("bucket/key", encoding="latin-1")[:5] == "eins\n"


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
def test_a_file_is_there_when_it_is_closed_and_not_before(transported, mode):
    transported.rm("bucket/new") if transported.exists("bucket/new") else None

    with transported.open("bucket/new", mode) as file:
        assert (file.writable(), file.readable(), file.closed) == (True, False, False)
        assert file.write(b"abc") == 3
        assert file.write(memoryview(b"de")) == 2
        assert file.tell() == 5
        assert not transported.exists("bucket/new")
    assert transported.cat_file("bucket/new") == b"abcde"
    with pytest.raises(ValueError, match="closed"):
        file.write(b"more")


def test_text_is_written_as_utf_8_and_described(fs):
    with fs.open("bucket/text.txt", "w", newline="\r\n", metadata={"by": "me"}) as file:
        file.write("süß\n")
    fs.write_text("bucket/latin", "süß", encoding="latin-1")

    assert fs.cat_file("bucket/text.txt") == "süß\r\n".encode()
    assert fs.cat_file("bucket/latin") == "süß".encode("latin-1")
    assert fs.info("bucket/text.txt")["content_type"].startswith("text/plain")
    assert fs.info("bucket/text.txt")["metadata"] == {"by": "me"}


def test_what_is_appended_comes_behind_what_is_there(fs):
    fs.pipe_file("bucket/log", b"one\n", content_type="text/x-log", metadata={"by": "me"})

    with fs.open("bucket/log", "a") as file:
        file.write("two\n")

    assert fs.cat_file("bucket/log") == b"one\ntwo\n"
    assert (fs.info("bucket/log")["content_type"], fs.info("bucket/log")["metadata"]) == ("text/x-log", {"by": "me"})


def test_of_two_that_append_at_the_same_time_one_is_told(fs):
    fs.pipe_file("bucket/log", b"one\n")
    first, second = fs.open("bucket/log", "ab"), fs.open("bucket/log", "ab")
    first.write(b"first\n")
    second.write(b"second\n")

    first.close()
    with pytest.raises(PreconditionFailedError):
        second.close()

    assert fs.cat_file("bucket/log") == b"one\nfirst\n"


def test_an_exclusive_file_is_refused_at_once_and_when_it_is_closed(fs):
    with fs.open("bucket/key", "x") as file:
        file.write("first")
    with pytest.raises(FileExistsError):
        fs.open("bucket/key", "xb")
    late = fs.open("bucket/other", "xb")
    late.write(b"late")
    fs.pipe_file("bucket/other", b"early")
    with pytest.raises(FileExistsError):
        late.close()

    assert fs.cat("bucket/*") == {"bucket/key": b"first", "bucket/other": b"early"}


@pytest.mark.parametrize("mode", ["r+b", "a+b", "rw", "z", ""])
def test_other_modes_are_refused(fs, mode):
    with pytest.raises(ValueError, match="mode"):
        fs.open("bucket/key", mode)


def test_options_of_a_write_are_known_or_refused(fs):
    with pytest.raises(TypeError, match="contnt_type"):
        fs.open("bucket/key", "wb", contnt_type="text/plain")


def test_a_store_in_the_place_of_a_bucket_is_explained(fs):
    for ask in (fs.open, fs.ls):
        with pytest.raises(FileNotFoundError, match="'default' is the name of a store"):
            ask("lucas://default/bucket/key")
    with pytest.raises(FileNotFoundError) as caught:
        fs.open("lucas://other-bucket/key")
    assert "store" not in caught.value.message


WRITES = {
    "open": lambda fs, path: fs.open(path, "wb").close(),
    "pipe": lambda fs, path: fs.pipe({path: b"1"}),
    "pipe_file": lambda fs, path: fs.pipe_file(path, b"1"),
    "put_file": lambda fs, path: fs.put_file(__file__, path),
    "touch": lambda fs, path: fs.touch(path),
    "cp_file": lambda fs, path: fs.cp_file("bucket/here", path),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_write_makes_a_bucket_by_the_name_of_a_store(fs, write):
    fs.pipe_file("bucket/here", b"content")

    with pytest.raises(FileNotFoundError, match=r"'default' is the name of a store.*mkdir\('default'\)"):
        write(fs, "lucas://default/bucket/key")
    assert not fs.exists("default")
    fs.mkdir("default")
    write(fs, "lucas://default/bucket/key")
    assert fs.find("default") == ["default/bucket/key"]
    fs.rm("default", recursive=True)


def test_a_directory_makes_no_bucket_by_the_name_of_a_store_either(fs):
    for make in (fs.mkdir, fs.makedirs, partial(fs.makedirs, exist_ok=True)):
        with pytest.raises(FileNotFoundError, match="'default' is the name of a store"):
            make("lucas://default/bucket/folder")
    assert not fs.exists("default")


def test_a_directory_is_no_file(fs):
    fs.pipe_file("bucket/d/a", b"")

    for path, mode in (("bucket/d", "rb"), ("bucket", "rb"), ("bucket", "wb"), ("", "rb")):
        with pytest.raises(IsADirectoryError):
            fs.open(path, mode)
    with pytest.raises(FileNotFoundError):
        fs.open("bucket/none")


def test_opening_and_reading_a_small_object_takes_few_calls(fs, calls):
    fs.pipe_file("bucket/key", b"content")
    calls.clear()

    with fs.open("bucket/key") as file:
        assert file.read() == b"content"

    assert len(calls.made()) <= 2


def _of_the_file(fs):
    with fs.open("bucket/key", "wb") as file:
        file.write(b"half")
        raise BodyError


def _of_a_text_file(fs):
    with fs.open("bucket/key", "w") as file:
        file.write("half")
        raise BodyError


def _of_a_compressed_file(fs):
    with fs.open("bucket/key", "wb", compression="gzip") as file:
        file.write(b"half")
        raise BodyError


def _of_fsspec_open(fs):
    with fsspec.open("lucas://bucket/key", "wb", endpoint=fs.client.endpoint) as file:
        file.write(b"half")
        raise BodyError


def _of_fsspec_open_with_text_and_compression(fs):
    with fsspec.open("lucas://bucket/key", "wt", compression="gzip", endpoint=fs.client.endpoint) as file:
        file.write("half")
        raise BodyError


def _of_a_wrapper(fs):
    with io.TextIOWrapper(fs.open("bucket/key", "wb")) as file:
        file.write("half")
        raise BodyError


def _of_closing(fs):
    with contextlib.closing(fs.open("bucket/key", "wb")) as file:
        file.write(b"half")
        raise BodyError


def _of_a_generator(fs):
    @contextlib.contextmanager
    def opened():
        file = fs.open("bucket/key", "wb")
        try:
            yield file
        finally:
            file.close()

    with opened() as file:
        file.write(b"half")
        raise BodyError


def _of_a_stack(fs):
    with contextlib.ExitStack() as stack:
        stack.callback(fs.open("bucket/key", "wb").close)
        raise BodyError


def _within_the_handling_of_another_error(fs):
    try:
        {}["none"]
    except KeyError:
        with contextlib.closing(fs.open("bucket/key", "wb")) as file:
            file.write(b"half")
            raise BodyError from None


def _of_a_table_that_pandas_writes(fs):
    pandas = pytest.importorskip("pandas")

    class Cell:
        def __str__(self):
            raise BodyError

    table = pandas.DataFrame({"a": ["fine"] * 100_000 + [Cell()]})
    table.to_csv("lucas://bucket/key", storage_options={"endpoint": fs.client.endpoint})


BODIES = [value for name, value in list(globals().items()) if name.startswith(("_of", "_within"))]
HEAVY = [_of_a_table_that_pandas_writes]


@pytest.mark.parametrize(
    "body",
    [pytest.param(body, marks=[pytest.mark.ecosystem] if body in HEAVY else []) for body in BODIES],
    ids=lambda body: body.__name__.strip("_"),
)
def test_a_body_that_raises_publishes_nothing(fs, body):
    with pytest.raises(BodyError):
        body(fs)

    assert fs.ls("bucket") == []


def test_an_explicit_close_publishes_also_while_an_error_is_handled(fs):
    file = fs.open("bucket/in-except", "wb")
    items = iter([b"1", b"2"])
    try:
        while True:
            file.write(next(items))
    except StopIteration:
        file.close()

    class Reported:
        def __enter__(self):
            pass

        def __exit__(self, kind, error, traceback):
            with fs.open("bucket/report", "w") as report:
                report.write(repr(error))
            late = fs.open("bucket/late", "wb")
            try:
                {}["none"]
            except KeyError:
                late.close()

    with pytest.raises(BodyError), Reported():
        raise BodyError

    assert fs.cat("bucket/*") == {
        "bucket/in-except": b"12",
        "bucket/report": b"BodyError()",
        "bucket/late": b"",
    }


def test_a_file_that_is_never_closed_publishes_nothing(fs):
    for mode, data in (("wb", b"half"), ("w", "half")):
        fs.open("bucket/key", mode).write(data)
    fs.open("bucket/key", "wb", compression="bz2").write(b"half")
    with warnings.catch_warnings():
        # from Python 3.14 on, the standard library tells of it
        warnings.filterwarnings("ignore", "unclosed GzipFile", ResourceWarning)
        fs.open("bucket/key", "wb", compression="gzip").write(b"half")
        gc.collect()

    assert fs.ls("bucket") == []


@pytest.mark.parametrize("compression", ["gzip", "infer", "bz2", "xz"])
def test_compressed_files_are_written_whole_and_read_again(fs, compression):
    with fs.open("bucket/key.gz", "wt", compression=compression) as file:
        file.write(LINES)

    assert fs.cat_file("bucket/key.gz") != LINES.encode()
    with fs.open("bucket/key.gz", "rt", compression=compression, newline="") as file:
        assert file.read() == LINES


def test_fsspec_compresses_too(fs):
    with fsspec.open("lucas://bucket/key.gz", "wt", compression="infer", endpoint=fs.client.endpoint) as file:
        file.write("text")

    assert gzip.decompress(fs.cat_file("bucket/key.gz")) == b"text"


def test_a_transaction_publishes_at_its_end_or_not_at_all(fs, tmp_path):
    (tmp_path / "file").write_bytes(b"local")

    def write_all():
        with fs.open("bucket/opened", "w") as file:
            file.write("text")
        fs.pipe_file("bucket/piped", b"piped")
        fs.pipe({"bucket/many": b"many"})
        fs.put_file(tmp_path / "file", "bucket/put")
        with contextlib.suppress(BodyError), fs.open("bucket/failed", "wb") as file:
            raise BodyError
        assert fs.ls("bucket") == []

    def write_all_and_fail():
        with fs.transaction:
            write_all()
            raise BodyError

    with pytest.raises(BodyError):
        write_all_and_fail()
    assert fs.ls("bucket") == []
    with fs.transaction:
        write_all()
    assert fs.cat("bucket/*") == {
        "bucket/many": b"many",
        "bucket/opened": b"text",
        "bucket/piped": b"piped",
        "bucket/put": b"local",
    }


@pytest.mark.parametrize("cache", ["readahead", "bytes", "all", "first", "blockcache", "background", "none"])
def test_the_caches_of_fsspec_can_be_asked_for(fs, cache):
    fs.pipe_file("bucket/key", DATA)

    with fs.open("bucket/key", cache_type=cache, block_size=1 << 16) as file:
        fs.pipe_file("bucket/other", b"")
        assert file.size == len(DATA)
        assert file.read(10) == DATA[:10]
        file.seek(1 << 20)
        assert file.read(10) == DATA[1 << 20 :][:10]


def test_a_cached_file_is_of_one_generation(fs):
    fs.pipe_file("bucket/key", b"older")
    with fs.open("bucket/key", cache_type="readahead") as file:
        fs.pipe_file("bucket/key", b"newer")

        with pytest.raises(FileNotFoundError, match="generation"):
            file.read()


def test_a_pickled_file_goes_on_where_it_was(fs):
    fs.pipe_file("bucket/key", DATA)
    with fs.open("bucket/key") as file:
        file.seek(1000)
        pickled = pickle.dumps(file)

    with pickle.loads(pickled) as again:
        assert (again.tell(), again.read(10)) == (1000, DATA[1000:1010])


def test_a_pickled_file_never_gives_other_bytes(fs):
    fs.pipe_file("bucket/key", DATA)
    with fs.open("bucket/key") as file:
        pickled = pickle.dumps(file)
    fs.pipe_file("bucket/key", DATA[::-1])

    with pytest.raises(FileNotFoundError, match="generation"):
        pickle.loads(pickled)


LATE = """
import atexit, sys, threading, time

state, opened, ended = {}, threading.Event(), threading.Event()
atexit.register(lambda: print(state["file"].closed))  # the last of all
import fsspec
import warnings

def work():
    state["file"] = fsspec.open("lucas://bucket/key", endpoint=sys.argv[1]).open()
    opened.set()
    ended.wait()
    time.sleep(0.1)
    state["file"].close()

threading.Thread(target=work, daemon=True).start()
opened.wait()
atexit.register(ended.set)  # the first of all
"""


@pytest.mark.slow
def test_a_program_does_not_end_while_another_thread_is_about_to_close_a_file(fs):
    fs.pipe_file("bucket/key", DATA)

    ran = subprocess.run(
        [sys.executable, "-c", LATE, fs.client.endpoint], capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.strip() == "True"


class Threads:
    """Threads that do one thing after the other, each when it is told to."""

    def __init__(self, stack):
        self._stack, self._pools = stack, {}

    def __call__(self, name, act, *args):
        if name not in self._pools:
            self._pools[name] = self._stack.enter_context(ThreadPoolExecutor(1))
        return self._pools[name].submit(act, *args).result()


@pytest.fixture
def threads():
    with ExitStack() as stack:
        yield Threads(stack)


def test_a_thread_reads_where_it_sought_whatever_others_did_meanwhile(fs, threads):
    fs.pipe("bucket/k", bytes(range(200)))
    with fs.open("bucket/k") as file:
        for thread in range(8):
            threads(thread, file.seek, 10 * thread)
        told = [threads(thread, file.tell) for thread in range(8)]
        read = [threads(thread, file.read, 3) for thread in reversed(range(8))]

    assert told == [10 * thread for thread in range(8)]
    assert read == [bytes(range(10 * thread, 10 * thread + 3)) for thread in reversed(range(8))]


def test_a_seek_from_where_a_thread_is_counts_from_where_it_sought(fs, threads):
    fs.pipe("bucket/k", bytes(range(200)))
    with fs.open("bucket/k") as file:
        threads("a", file.seek, 10)
        threads("b", file.seek, 100)
        threads("a", file.seek, 5, os.SEEK_CUR)

        assert (threads("b", file.read, 1), threads("a", file.read, 1)) == (b"\x64", b"\x0f")


def test_threads_that_take_turns_see_one_position(fs, threads):
    fs.pipe("bucket/k", b"first\nsecond\nthird\n")
    with fs.open("bucket/k") as file:
        threads("a", file.seek, 6)
        lines = [threads("b", file.readline), threads("a", file.readline)]

        assert lines == [b"second\n", b"third\n"]
        assert threads("b", file.tell) == threads("a", file.tell) == 19
