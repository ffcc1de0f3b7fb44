"""Downloads of large files: the stream that told the size goes on, and ends with the download, or brings nothing."""

from __future__ import annotations

import os
import threading

import pytest

from actorc.storage import NetworkError, StorageClient

MiB = 1 << 20
STEP = 4 * MiB
"""Bytes of a step in the journal of a download; the last one has fewer."""
LARGE = 2 * STEP + MiB


class Client(StorageClient):
    """A client to which a file is large that is too small for a second stream."""

    PARALLEL_FROM = 2 * MiB


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


def interrupted_download(endpoint, path):
    """Leave a part of a file behind, as a network does that stays away; return how many bytes of it count."""

    def stop(done, _total):
        if done >= STEP:
            raise NetworkError("gone")

    with Client(endpoint) as client, pytest.raises(NetworkError, match="gone"):
        client.download_file("bucket", "key", path, progress=stop)
    [journal] = path.parent.glob(".download-*.journal")
    steps = [int(line.split()[0]) for line in journal.read_text().splitlines()[1:]]
    return sum(min(STEP, LARGE - step * STEP) for step in steps)


def test_a_download_that_goes_on_is_sent_nothing_that_is_there(proxy, direct, tmp_path):
    data = os.urandom(LARGE)
    direct.put_object("bucket", "key", data)
    there = interrupted_download(proxy.endpoint, tmp_path / "out")
    proxy.drop_all()
    proxy.sent_down = 0
    with Client(proxy.endpoint) as client:
        client.download_file("bucket", "key", tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == data
    # all beside the content takes less than half a MiB
    assert there >= STEP
    assert LARGE - there < proxy.sent_down < LARGE - there + MiB // 2


@pytest.mark.parametrize("size", [3 * MiB, 5])
def test_a_download_whose_object_was_replaced_meanwhile_is_of_the_new_one(proxy, direct, tmp_path, size):
    direct.put_object("bucket", "key", bytes(LARGE))
    interrupted_download(proxy.endpoint, tmp_path / "out")
    data = os.urandom(size)
    direct.put_object("bucket", "key", data)
    with Client(proxy.endpoint) as client:
        client.download_file("bucket", "key", tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == data
