"""Files that are not what their size says, or no files at all: read to their end, or refused in words."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from actorc.storage import InvalidParameterError
from actorc.storage.files.unsized_files import content_of_unsized
from lucas_storage import Storage, storage_context
from lucas_storage.errors import ArtifactError

SIZE_0 = Path("/proc/self/cmdline")
UNSEEKABLE = Path("/proc/version")
PAGE_SIZED = Path("/sys/kernel/mm/transparent_hugepage/enabled")

pytestmark = pytest.mark.skipif(not SIZE_0.exists(), reason="this system has no /proc")


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def storage(server, tmp_path):
    with storage_context(endpoint=server.endpoint, cache_dir=tmp_path / "cache"), Storage() as handle:
        yield handle


@pytest.mark.parametrize("path", [SIZE_0, UNSEEKABLE, PAGE_SIZED], ids=str)
def test_a_file_of_the_kernel_is_stored_as_it_is_read(client, storage, path):
    if not path.exists():
        pytest.skip("this kernel has no such file")
    content = path.read_bytes()

    assert len(content) != path.stat().st_size
    assert client.upload_file("bucket", "key", path)["size"] == len(content)
    assert client.get_object("bucket", "key") == content
    assert storage.get(storage.put(path), bytes) == content


@pytest.fixture(params=["fifo", "socket", "device", "link to a device"])
def no_file(request, tmp_path):
    path = tmp_path / "strange"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif request.param == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    return path


def test_what_is_no_file_is_refused_at_once(client, storage, no_file):
    for put in (lambda: client.upload_file("bucket", "key", no_file), lambda: storage.put(no_file)):
        with pytest.raises((InvalidParameterError, ArtifactError), match=f"{no_file} is no regular file"):
            put()


def test_a_file_without_an_end_is_refused(monkeypatch, tmp_path):
    """As a log of the kernel that says nothing more for now: it says that it is empty, and has something."""
    path = tmp_path / "log"
    path.touch()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"said already")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", lambda *_: reading)
            with pytest.raises(InvalidParameterError, match="does not come to an end"):
                content_of_unsized(path)
    finally:
        os.close(writing)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 5000])
def test_an_ordinary_file_has_the_size_that_is_stated(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)

    assert content_of_unsized(path) is None


def test_a_file_with_a_hole_is_not_read_to_see_how_large_it_is(tmp_path, monkeypatch):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", None)

        assert content_of_unsized(path) is None
