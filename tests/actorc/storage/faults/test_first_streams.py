"""Downloads of large files: the stream that told the size goes on, and ends with the download."""

from __future__ import annotations

import threading

import pytest

from actorc.storage import StorageClient

MiB = 1 << 20
SIZE = 3 * MiB + 5


class Client(StorageClient):
    """A client to which a file is large that is too small for a second stream."""

    PARALLEL_FROM = 2 * MiB


@pytest.fixture
def relay(server, make_relay):
    return make_relay(server.endpoint)


@pytest.fixture
def content(direct):
    data = b"".join(number.to_bytes(8, "big") * (MiB // 8) for number in range(3)) + b"rest!"
    direct.put_object("bucket", "big", data)
    return data


def test_a_large_file_comes_by_the_stream_that_told_its_size(relay, content, tmp_path):
    with Client(relay.endpoint) as client:
        client.download_file("bucket", "big", tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == content
    assert relay.calls == ["ReadObject"]


def test_a_download_that_is_stopped_ends_a_first_stream_that_stands_still(relay, content, tmp_path):
    first, go_on = threading.Event(), threading.Event()

    def stall(way, _method, message):
        if way == "down" and len(message) > MiB // 2:
            if first.is_set():
                go_on.wait(30)
            first.set()
        return message

    def stop(_done, _total):
        raise ZeroDivisionError

    relay.alter = stall
    try:
        with Client(relay.endpoint) as client, pytest.raises(ZeroDivisionError):
            client.download_file("bucket", "big", tmp_path / "to" / "out", progress=stop)
        assert not go_on.is_set()
        assert list((tmp_path / "to").iterdir()) == []
    finally:
        go_on.set()
