"""Parts of objects."""

from __future__ import annotations

from typing import Any

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError, InvalidRangeError
from actorc.storage.testing.contract.demands import rule

MiB = 1 << 20
ANSWER = MiB // 8


class RangesCases:
    """A range is cut exactly, wherever it begins and ends."""

    @pytest.fixture(params=[10, 2 * MiB + 77])
    def whole(self, request: pytest.FixtureRequest, storage: StorageClient) -> bytes:
        size: int = request.param
        whole = (bytes(i * 31 % 251 for i in range(1000)) * (size // 1000 + 1))[:size]
        storage.upload_from_stream("bucket", "key", [whole])
        return whole

    @rule
    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, None), (3, None), (0, 4), (3, 4), (9, 1), (0, 0), (10, None), (10, 5), (3, 1 << 40), (7, 3)],
    )
    def test_a_range_is_cut_as_a_slice_would(
        self, storage: StorageClient, whole: bytes, offset: int, length: int | None
    ) -> None:
        expected = whole[offset : None if length is None else offset + length]

        assert storage.get_object("bucket", "key", offset=offset, length=length) == expected

    @pytest.mark.parametrize(
        ("offset", "length"), [(MiB - 1, 2), (MiB, 1), (1, 2 * MiB), (MiB - 5, MiB + 10), (2 * MiB + 70, 7)]
    )
    def test_ranges_across_blocks_are_exact(self, storage: StorageClient, offset: int, length: int) -> None:
        data = bytes(range(256)) * (9 * MiB // 1024)
        storage.upload_from_stream("bucket", "key", [data])

        assert storage.get_object("bucket", "key", offset=offset, length=length) == data[offset : offset + length]

    @pytest.mark.parametrize("size", [ANSWER - 1, ANSWER, ANSWER + 1, MiB + 1])
    def test_what_just_fits_into_one_answer_and_what_just_does_not_are_read_alike(
        self, storage: StorageClient, size: int
    ) -> None:
        data = (bytes(range(251)) * (size // 251 + 1))[:size]
        info = storage.put_object("bucket", "key", data)
        pinned: dict[str, Any] = {"generation": info["generation"], "if_match": info["etag"]}

        assert storage.get_object("bucket", "key", **pinned) == data
        assert storage.get_object("bucket", "key", offset=1, **pinned) == data[1:]
        assert storage.get_object("bucket", "key", offset=size, **pinned) == b""

    def test_a_range_that_begins_behind_the_end_is_an_error(self, storage: StorageClient, whole: bytes) -> None:
        with pytest.raises(InvalidRangeError) as caught:
            storage.get_object("bucket", "key", offset=len(whole) + 1)

        assert str(len(whole)) in caught.value.message

    @rule
    @pytest.mark.parametrize("wrong", [{"offset": -1}, {"length": -1}, {"offset": "0"}])
    def test_negative_ranges_are_refused(self, storage: StorageClient, wrong: dict[str, Any]) -> None:
        storage.put_object("bucket", "key", b"abc")

        with pytest.raises(InvalidParameterError):
            storage.get_object("bucket", "key", **wrong)

    def test_an_empty_object_can_be_read_from_its_beginning_only(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "empty", b"")

        assert storage.get_object("bucket", "empty", offset=0, length=5) == b""
        with pytest.raises(InvalidRangeError):
            storage.get_object("bucket", "empty", offset=1)
