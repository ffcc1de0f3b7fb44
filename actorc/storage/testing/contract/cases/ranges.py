"""Parts of objects."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    InvalidParameterError,
    InvalidRangeError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
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
    @pytest.mark.parametrize("wrong", [{"offset": -1}, {"length": -1}, {"offset": "0"}, {"offset": 1 << 63}])
    def test_negative_ranges_are_refused(self, storage: StorageClient, wrong: dict[str, Any]) -> None:
        storage.put_object("bucket", "key", b"abc")

        with pytest.raises(InvalidParameterError):
            storage.get_object("bucket", "key", **wrong)

    def test_an_empty_object_can_be_read_from_its_beginning_only(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "empty", b"")

        assert storage.get_object("bucket", "empty", offset=0, length=5) == b""
        with pytest.raises(InvalidRangeError):
            storage.get_object("bucket", "empty", offset=1)

    @rule
    @pytest.mark.parametrize(
        "ranges",
        [
            [],
            [(0, 4), (3, 4), (0, 0), (3, 4), (9, 5), (10, 7), (0, 1 << 40)],
            [(8, 1), (0, 1), (4, 1)],
            [(-3, 2), (-100, 4), (-1, 10), (0, 2)],
        ],
    )
    def test_many_ranges_are_cut_as_slices_would_in_the_order_asked_for(
        self, storage: StorageClient, whole: bytes, ranges: list[tuple[int, int]]
    ) -> None:
        expected = []
        for offset, length in ranges:
            first = max(0, len(whole) + offset) if offset < 0 else offset
            expected.append(whole[first : first + length])

        assert storage.get_ranges("bucket", "key", ranges) == expected

    def test_more_ranges_and_more_bytes_than_one_answer_takes_come_all_the_same(self, storage: StorageClient) -> None:
        data = bytes(range(256)) * (9 * MiB // 1024)
        info = storage.upload_from_stream("bucket", "key", [data])
        ranges = [(at, 5) for at in range(0, 2 * MiB, 1500)] + [(MiB - 3, MiB), (7, 2 * MiB), (-2 * MiB, MiB + 1)]

        found = storage.get_ranges("bucket", "key", ranges, generation=info["generation"], if_match=info["etag"])

        size = len(data)
        assert found == [data[at % size : at % size + length] for at, length in ranges]

    def test_ranges_are_of_the_generation_asked_for_or_refused(self, storage: StorageClient) -> None:
        etag = storage.put_object("bucket", "key", b"first")["etag"]
        storage.put_object("bucket", "key", b"second")

        with pytest.raises(PreconditionFailedError):
            storage.get_ranges("bucket", "key", [(0, 2)], if_match=etag)
        with pytest.raises(ObjectNotFoundError):
            storage.get_ranges("bucket", "missing", [(0, 2)])
        with pytest.raises(ObjectNotFoundError):
            storage.get_ranges("bucket", "missing", [])

    @rule
    @pytest.mark.parametrize("wrong", [[(4, 1)], [(0, 1), (4, 0)]])
    def test_one_range_behind_the_end_refuses_all(self, storage: StorageClient, wrong: list[tuple[int, int]]) -> None:
        storage.put_object("bucket", "key", b"abc")

        with pytest.raises(InvalidRangeError, match="begins at byte 4"):
            storage.get_ranges("bucket", "key", wrong)

    @rule
    @pytest.mark.parametrize(
        "wrong",
        [
            [(0, -1)],
            [(0, None)],
            [(True, 1)],
            [(0.5, 1)],
            [3],
            [(1, 2, 3)],
            7,
            ["ab"],
            [(0, 1 << 63)],
            [(-(1 << 70), 1)],
        ],
    )
    def test_what_is_no_range_is_refused(self, storage: StorageClient, wrong: Any) -> None:
        storage.put_object("bucket", "key", b"abc")

        with pytest.raises(InvalidParameterError):
            storage.get_ranges("bucket", "key", wrong)

    @pytest.mark.parametrize("part", [{}, {"offset": 3, "length": 5}, {"offset": 10}])
    def test_an_object_is_read_into_a_buffer_of_the_caller(
        self, storage: StorageClient, whole: bytes, part: dict[str, Any]
    ) -> None:
        expected = storage.get_object("bucket", "key", **part)
        out = bytearray(b"\xee" * (len(whole) + 3))

        filled = storage.get_object("bucket", "key", **part, out=out)

        assert filled == expected
        assert out == expected + b"\xee" * (len(out) - len(expected))
        assert filled.obj is out

    def test_a_buffer_that_is_too_small_is_refused(self, storage: StorageClient, whole: bytes) -> None:
        with pytest.raises(InvalidParameterError, match=f"out has {len(whole) - 1} bytes and {len(whole)}"):
            storage.get_object("bucket", "key", out=bytearray(len(whole) - 1))

    @pytest.mark.parametrize("out", [bytearray(), array("d")])
    def test_nothing_fits_into_an_empty_buffer(self, storage: StorageClient, out: Any) -> None:
        storage.put_object("bucket", "key", b"abc")

        assert storage.get_object("bucket", "key", offset=3, out=out) == b""
        assert storage.get_object("bucket", "key", length=0, out=out) == b""

    @rule
    @pytest.mark.parametrize(
        "wrong", [{"out": b"fixed"}, {"out": 7}, {"out": "text"}, {"out": bytearray(5), "as_view": True}]
    )
    def test_what_cannot_be_filled_is_refused(self, storage: StorageClient, wrong: dict[str, Any]) -> None:
        storage.put_object("bucket", "key", b"abc")

        with pytest.raises(InvalidParameterError):
            storage.get_object("bucket", "key", **wrong)
