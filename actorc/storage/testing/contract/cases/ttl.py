"""Objects that live for a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError
from actorc.storage.testing.contract.demands import needs, rule

KiB, MiB = 1 << 10, 1 << 20
HOUR = timedelta(hours=1)
Write = Callable[..., None]


def put(storage: StorageClient, key: str = "key", **options: Any) -> None:
    storage.put_object("bucket", key, b"data", **options)


def stream(storage: StorageClient, key: str = "key", **options: Any) -> None:
    storage.upload_from_stream("bucket", key, [b"x" * MiB, b"y" * MiB], **options)


def parts(storage: StorageClient, key: str = "key", **options: Any) -> None:
    upload_id = storage.create_multipart_upload("bucket", key, **options)["upload_id"]
    part = storage.upload_part("bucket", key, upload_id, 1, b"data")
    storage.complete_multipart_upload("bucket", key, upload_id, [part])


def copy(storage: StorageClient, key: str = "key", **options: Any) -> None:
    storage.put_object("bucket", "source", b"data", ttl=60)
    storage.copy_object("bucket", "source", "bucket", key, **options)


class TtlCases:
    """An object tells when it will be gone."""

    @needs("ttl")
    @pytest.mark.parametrize("write", [put, stream, parts, copy])
    def test_an_object_tells_when_it_will_be_gone(self, storage: StorageClient, write: Write) -> None:
        write(storage, ttl=3600)

        head = storage.head_object("bucket", "key")
        (listed,) = storage.list_objects("bucket", "key")["objects"]
        assert head["expires_at"] == head["last_modified"] + HOUR == listed["expires_at"]
        assert abs(head["last_modified"] - datetime.now(UTC)) < timedelta(minutes=5)

    @needs("ttl")
    @pytest.mark.parametrize("write", [put, stream, parts, copy])
    def test_an_object_written_without_a_ttl_stays(self, storage: StorageClient, write: Write) -> None:
        put(storage, ttl=3600)
        write(storage)

        assert storage.head_object("bucket", "key")["expires_at"] is None

    @rule
    @pytest.mark.parametrize("ttl", [0, -1, 1.5, "60", 1 << 40])
    def test_a_ttl_is_a_number_of_seconds_up_to_a_century(self, storage: StorageClient, ttl: Any) -> None:
        with pytest.raises(InvalidParameterError):
            put(storage, ttl=ttl)

        assert not storage.object_exists("bucket", "key")
