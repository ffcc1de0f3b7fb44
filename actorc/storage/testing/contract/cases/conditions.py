"""`if_absent` and `if_match`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import AlreadyExistsError, InvalidParameterError, PreconditionFailedError
from actorc.storage.models import PutResult
from actorc.storage.testing.contract.demands import needs

MiB = 1 << 20
Put = Callable[..., PutResult]


def put_small(storage: StorageClient, data: bytes, **condition: Any) -> PutResult:
    return storage.put_object("bucket", "key", data, **condition)


def put_streamed(storage: StorageClient, data: bytes, **condition: Any) -> PutResult:
    return storage.upload_from_stream("bucket", "key", [data, b"-" * MiB], **condition)


class ConditionsCases:
    """A write on a condition is done if it holds, and changes nothing otherwise."""

    @needs("if-absent")
    @pytest.mark.parametrize("put", [put_small, put_streamed])
    def test_if_absent_writes_a_free_key_and_spares_a_taken_one(self, storage: StorageClient, put: Put) -> None:
        put(storage, b"first", if_absent=True)
        with pytest.raises(AlreadyExistsError) as caught:
            put(storage, b"second", if_absent=True)

        assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
        assert storage.get_object("bucket", "key").startswith(b"first")

    @needs("if-match")
    @pytest.mark.parametrize("put", [put_small, put_streamed])
    def test_if_match_replaces_the_object_meant_and_no_other(self, storage: StorageClient, put: Put) -> None:
        old = put(storage, b"old")
        new = put(storage, b"new", if_match=old["etag"])
        with pytest.raises(PreconditionFailedError):
            put(storage, b"late", if_match=old["etag"])

        assert storage.head_object("bucket", "key")["etag"] == new["etag"]

    @needs("if-match")
    @pytest.mark.parametrize("put", [put_small, put_streamed])
    def test_if_match_on_a_free_key_fails(self, storage: StorageClient, put: Put) -> None:
        with pytest.raises(PreconditionFailedError):
            put(storage, b"x", if_match="some-etag")

        assert not storage.object_exists("bucket", "key")

    @needs("delete-if-match")
    def test_a_delete_can_be_bound_to_an_etag(self, storage: StorageClient) -> None:
        old = put_small(storage, b"old")
        new = put_small(storage, b"new")
        with pytest.raises(PreconditionFailedError):
            storage.delete_object("bucket", "key", if_match=old["etag"])
        storage.delete_object("bucket", "key", if_match=new["etag"])

        assert not storage.object_exists("bucket", "key")

    def test_conditions_that_exclude_each_other_are_refused(self, storage: StorageClient) -> None:
        with pytest.raises(InvalidParameterError):
            put_small(storage, b"x", if_absent=True, if_match="e")

    @needs("if-absent")
    def test_of_sixteen_writers_that_race_for_a_free_key_one_wins(self, storage: StorageClient) -> None:
        def attempt(number: int) -> int | None:
            try:
                put_small(storage, str(number).encode(), if_absent=True)
            except AlreadyExistsError:
                return None
            return number

        with ThreadPoolExecutor(16) as threads:
            winners = [number for number in threads.map(attempt, range(16)) if number is not None]

        assert len(winners) == 1
        assert storage.get_object("bucket", "key") == str(winners[0]).encode()
