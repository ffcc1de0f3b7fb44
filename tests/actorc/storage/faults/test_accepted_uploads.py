"""When the bytes of an upload leave: those of an object once the server accepts it, those of a part at once."""

from __future__ import annotations

import threading

import pytest

from actorc.storage import StorageClient, UploadNotFoundError

MiB = 1 << 20


@pytest.fixture
def client(relay):
    with StorageClient(relay.endpoint) as it:
        yield it


def came_before_acceptance(relay, seconds):
    """Withhold the acceptance of an upload for so long, or until bytes have come; return a list that tells whether."""
    came, found = threading.Event(), []

    def alter(way, method, message):
        if method == "WriteObject" and way == "up" and len(message) > MiB // 2:
            came.set()
        if method == "WriteObject" and way == "down" and not found:
            found.append(came.wait(seconds))
        return message

    relay.alter = alter
    return found


def test_the_bytes_of_a_part_do_not_wait_for_its_acceptance(relay, client, direct):
    upload = client.create_multipart_upload("bucket", "key")["upload_id"]
    came = came_before_acceptance(relay, seconds=10)
    part = client.upload_part("bucket", "key", upload, 1, bytes(3 * MiB))
    client.complete_multipart_upload("bucket", "key", upload, [part])

    assert came == [True]
    assert direct.get_object("bucket", "key") == bytes(3 * MiB)


def test_the_bytes_of_an_object_wait_until_the_server_accepts_it(relay, client, direct):
    came = came_before_acceptance(relay, seconds=0)
    client.put_object("bucket", "key", bytes(3 * MiB))

    assert came == [False]
    assert direct.get_object("bucket", "key") == bytes(3 * MiB)


def test_a_part_of_an_upload_that_is_gone_is_refused_for_that_reason(client):
    upload = client.create_multipart_upload("bucket", "key")["upload_id"]
    client.abort_multipart_upload("bucket", "key", upload)

    with pytest.raises(UploadNotFoundError):
        client.upload_part("bucket", "key", upload, 1, bytes(30 * MiB))
