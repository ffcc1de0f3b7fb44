"""Objects that come in parts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actorc.storage._rpc.byte_source import ByteSource
from actorc.storage._wire.checksum import crc32c
from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    UploadNotFoundError,
)
from actorc.storage.models import CompletedPart, PartResult, PutResult
from actorc.storage.testing.contract.demands import needs, rule

KiB, MiB = 1 << 10, 1 << 20


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def begin(storage: StorageClient, key: str = "key", **options: Any) -> str:
    return storage.create_multipart_upload("bucket", key, **options)["upload_id"]


def send(storage: StorageClient, upload_id: str, number: int, data: ByteSource, key: str = "key") -> PartResult:
    return storage.upload_part("bucket", key, upload_id, number, data)


def complete(
    storage: StorageClient, upload_id: str, parts: Sequence[CompletedPart], key: str = "key", **options: Any
) -> PutResult:
    return storage.complete_multipart_upload("bucket", key, upload_id, parts, **options)


class SourceError(Exception):
    """Raised by a caller's own source."""


class MultipartCases:
    """Parts become one object, or nothing."""

    def test_parts_become_one_object_in_the_order_of_their_numbers(self, storage: StorageClient) -> None:
        pieces = {9: some_bytes(2 * MiB + 17, 9), 2: some_bytes(MiB, 2), 10: b"", 11: some_bytes(5, 11)}
        upload_id = begin(storage, content_type="text/plain", metadata={"a": "ä"})

        parts = {number: send(storage, upload_id, number, data) for number, data in pieces.items()}
        put = complete(storage, upload_id, [parts[number] for number in sorted(parts)])

        whole = b"".join(pieces[number] for number in sorted(pieces))
        head = storage.head_object("bucket", "key")
        assert storage.get_object("bucket", "key") == whole
        assert (put["size"], put["etag"], put["generation"]) == (len(whole), head["etag"], head["generation"])
        assert (head["crc32c"], head["content_type"], head["metadata"]) == (
            f"{crc32c(whole):08x}",
            "text/plain",
            {"a": "ä"},
        )

    def test_ranges_cross_the_borders_of_parts(self, storage: StorageClient) -> None:
        sizes = [MiB + 3, 10, 2 * MiB, 1, MiB]
        upload_id = begin(storage)
        pieces = [some_bytes(size, seed) for seed, size in enumerate(sizes)]
        complete(storage, upload_id, [send(storage, upload_id, n, data) for n, data in enumerate(pieces, 1)])
        whole = b"".join(pieces)

        borders = [sum(sizes[:count]) for count in range(1, len(sizes))]
        for border in borders:
            for offset, length in ((border - 2, 4), (border, 1), (border - 1, None), (max(border - MiB, 0), 2 * MiB)):
                expected = whole[offset:] if length is None else whole[offset : offset + length]
                assert storage.get_object("bucket", "key", offset=offset, length=length) == expected
        assert storage.get_object("bucket", "key", offset=len(whole)) == b""

    def test_an_upload_is_invisible_until_it_is_completed(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        part = send(storage, upload_id, 1, b"data")

        assert not storage.object_exists("bucket", "key")
        assert storage.list_objects("bucket")["objects"] == []
        complete(storage, upload_id, [part])
        assert [head["key"] for head in storage.list_objects("bucket")["objects"]] == ["key"]

    def test_parts_are_sent_in_parallel(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        pieces = [some_bytes(40 * KiB + number, number) for number in range(16)]

        with ThreadPoolExecutor(8) as threads:
            parts = list(threads.map(lambda item: send(storage, upload_id, item[0] + 1, item[1]), enumerate(pieces)))
        complete(storage, upload_id, parts)

        assert storage.get_object("bucket", "key") == b"".join(pieces)

    def test_a_part_sent_again_replaces_the_one_before(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        before = send(storage, upload_id, 1, b"before")
        after = send(storage, upload_id, 1, b"after" * 10_000)

        with pytest.raises(PreconditionFailedError, match="part 1"):
            complete(storage, upload_id, [before])
        complete(storage, upload_id, [after])

        assert storage.get_object("bucket", "key") == b"after" * 10_000

    def test_parts_that_are_not_named_are_dropped(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        parts = [send(storage, upload_id, number, bytes([number]) * 20 * KiB) for number in (1, 2, 3)]

        complete(storage, upload_id, [parts[0], parts[2]])

        assert storage.get_object("bucket", "key") == b"\x01" * 20 * KiB + b"\x03" * 20 * KiB

    def test_a_part_tells_what_it_is(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        part = send(storage, upload_id, 7, b"data")

        assert (part["part_number"], part["size"], part["crc32c"]) == (7, 4, f"{crc32c(b'data'):08x}")
        assert storage.list_parts("bucket", "key", upload_id) == [part]

    @pytest.mark.parametrize(
        ("named", "error", "words"),
        [
            ([], InvalidParameterError, "one part or more"),
            ([2, 1], InvalidParameterError, "part 1 is named behind part 2"),
            ([1, 1], InvalidParameterError, "part 1 is named behind part 1"),
            ([1, 3], InvalidParameterError, "part 3 was never uploaded"),
        ],
    )
    def test_parts_that_make_no_object_are_refused_and_the_upload_goes_on(
        self, storage: StorageClient, named: list[int], error: type[StorageError], words: str
    ) -> None:
        upload_id = begin(storage)
        parts: dict[int, CompletedPart] = {number: send(storage, upload_id, number, b"x") for number in (1, 2)}
        parts[3] = {"part_number": 3, "etag": "none"}

        with pytest.raises(error, match=words) as caught:
            complete(storage, upload_id, [parts[number] for number in named])

        assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
        complete(storage, upload_id, [parts[1], parts[2]])

    @rule
    @pytest.mark.parametrize("number", [0, -1, 10_001])
    def test_part_numbers_have_bounds(self, storage: StorageClient, number: int) -> None:
        upload_id = begin(storage)

        with pytest.raises(InvalidParameterError):
            send(storage, upload_id, number, b"x")

    def test_a_completed_upload_is_gone(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        part = send(storage, upload_id, 1, b"x")
        complete(storage, upload_id, [part])

        for act in (
            lambda: complete(storage, upload_id, [part]),
            lambda: send(storage, upload_id, 2, b"x"),
            lambda: storage.list_parts("bucket", "key", upload_id),
        ):
            with pytest.raises(UploadNotFoundError) as caught:
                act()
            assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
        storage.abort_multipart_upload("bucket", "key", upload_id)
        assert storage.get_object("bucket", "key") == b"x"

    def test_an_upload_belongs_to_its_key_and_bucket(self, storage: StorageClient) -> None:
        storage.create_bucket("other-bucket")
        upload_id = begin(storage)
        part = send(storage, upload_id, 1, b"x")

        for bucket, key in (("bucket", "other"), ("other-bucket", "key")):
            with pytest.raises(UploadNotFoundError):
                storage.upload_part(bucket, key, upload_id, 2, b"x")
            with pytest.raises(UploadNotFoundError):
                storage.complete_multipart_upload(bucket, key, upload_id, [part])
            storage.abort_multipart_upload(bucket, key, upload_id)
        with pytest.raises(UploadNotFoundError):
            send(storage, "no-upload", 1, b"x")
        assert storage.list_parts("bucket", "key", upload_id) == [part]

    def test_an_aborted_upload_is_gone_and_may_be_aborted_again(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        part = send(storage, upload_id, 1, b"x" * 20 * KiB)

        for _ in range(2):
            storage.abort_multipart_upload("bucket", "key", upload_id)

        with pytest.raises(UploadNotFoundError):
            complete(storage, upload_id, [part])
        with pytest.raises(ObjectNotFoundError):
            storage.head_object("bucket", "key")

    @needs("if-absent", "if-match")
    def test_a_condition_is_judged_at_the_beginning(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"old")

        with pytest.raises(AlreadyExistsError):
            begin(storage, if_absent=True)
        with pytest.raises(PreconditionFailedError):
            begin(storage, if_match="other")
        assert storage.list_multipart_uploads("bucket")["uploads"] == []

    @needs("if-absent")
    @pytest.mark.parametrize("at", ["beginning", "end"])
    def test_a_condition_is_judged_again_by_the_completion(self, storage: StorageClient, at: str) -> None:
        upload_id = begin(storage, if_absent=at == "beginning")
        part = send(storage, upload_id, 1, b"new")
        storage.put_object("bucket", "key", b"old")

        with pytest.raises(AlreadyExistsError):
            complete(storage, upload_id, [part], if_absent=at == "end")

        assert storage.get_object("bucket", "key") == b"old"
        storage.delete_object("bucket", "key")
        complete(storage, upload_id, [part])
        assert storage.get_object("bucket", "key") == b"new"

    @needs("if-match")
    @pytest.mark.parametrize("at", ["beginning", "end"])
    def test_if_match_binds_an_upload_to_the_object_it_replaces(self, storage: StorageClient, at: str) -> None:
        etag = storage.put_object("bucket", "key", b"old")["etag"]
        match = {"if_match": etag}
        upload_id = begin(storage, **(match if at == "beginning" else {}))
        part = send(storage, upload_id, 1, b"new")
        storage.put_object("bucket", "key", b"other")

        with pytest.raises(PreconditionFailedError):
            complete(storage, upload_id, [part], **(match if at == "end" else {}))

        assert storage.get_object("bucket", "key") == b"other"

    @needs("if-absent")
    def test_of_sixteen_uploads_that_race_for_a_free_key_one_wins(self, storage: StorageClient) -> None:
        uploads = [begin(storage) for _ in range(16)]
        parts = [send(storage, upload_id, 1, str(number).encode()) for number, upload_id in enumerate(uploads)]

        def attempt(number: int) -> bytes | None:
            try:
                complete(storage, uploads[number], [parts[number]], if_absent=True)
            except AlreadyExistsError:
                return None
            return str(number).encode()

        with ThreadPoolExecutor(16) as threads:
            winners = [data for data in threads.map(attempt, range(16)) if data is not None]

        assert winners == [storage.get_object("bucket", "key")]

    def test_many_parts_are_listed_in_order(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        for number in (30, 4, 10_000, 1):
            send(storage, upload_id, number, b"x")

        assert [part["part_number"] for part in storage.list_parts("bucket", "key", upload_id)] == [1, 4, 30, 10_000]

    def test_uploads_are_listed_by_key_then_by_their_beginning(self, storage: StorageClient) -> None:
        begun = [(key, begin(storage, key)) for key in ("b/1", "a", "b/1", "é", "b/2", "a")]
        expected = sorted(begun, key=lambda name: name[0].encode())

        listed = [(item["key"], item["upload_id"]) for item in storage.list_multipart_uploads("bucket")["uploads"]]

        assert listed == expected
        below = storage.list_multipart_uploads("bucket", "b/")
        assert [item["key"] for item in below["uploads"]] == ["b/1", "b/1", "b/2"]
        assert {item["bucket"] for item in below["uploads"]} == {"bucket"}

    @pytest.mark.parametrize("size", [1, 2, 5, 6])
    def test_uploads_are_listed_in_pages(self, storage: StorageClient, size: int) -> None:
        expected = sorted((key, begin(storage, key)) for key in ("b", "a", "b", "c", "b", "a"))

        listed, token = [], None
        while True:
            page = storage.list_multipart_uploads("bucket", max_uploads=size, page_token=token)
            listed += [(item["key"], item["upload_id"]) for item in page["uploads"]]
            assert len(page["uploads"]) <= size
            token = page["next_page_token"]
            assert page["is_truncated"] == (token is not None)
            if token is None:
                break

        assert listed == expected
        with pytest.raises(InvalidParameterError, match="page token"):
            storage.list_multipart_uploads("bucket", page_token="x")

    def test_a_missing_bucket_is_named(self, storage: StorageClient) -> None:
        for act in (
            lambda: storage.create_multipart_upload("missing", "key"),
            lambda: storage.upload_part("missing", "key", "id", 1, b"x"),
            lambda: storage.complete_multipart_upload("missing", "key", "id", [{"part_number": 1, "etag": "e"}]),
            lambda: storage.abort_multipart_upload("missing", "key", "id"),
            lambda: storage.list_parts("missing", "key", "id"),
            lambda: storage.list_multipart_uploads("missing"),
        ):
            with pytest.raises(BucketNotFoundError) as caught:
                act()
            assert caught.value.bucket == "missing"

    def test_deleting_a_bucket_takes_its_uploads_along(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        send(storage, upload_id, 1, b"x" * 20 * KiB)

        storage.delete_bucket("bucket")
        storage.create_bucket("bucket")

        assert storage.list_multipart_uploads("bucket")["uploads"] == []
        with pytest.raises(UploadNotFoundError):
            send(storage, upload_id, 1, b"x")

    def test_a_source_that_raises_leaves_the_part_before(self, storage: StorageClient) -> None:
        def broken() -> Iterator[bytes]:
            yield b"x" * MiB
            raise SourceError

        upload_id = begin(storage)
        part = send(storage, upload_id, 1, b"before")
        with pytest.raises(SourceError):
            send(storage, upload_id, 1, broken())

        assert storage.list_parts("bucket", "key", upload_id) == [part]

    @rule
    def test_a_hundred_small_parts_make_an_object(self, storage: StorageClient) -> None:
        upload_id = begin(storage)
        parts = [send(storage, upload_id, number, bytes([number]) * number) for number in range(1, 101)]
        complete(storage, upload_id, parts)

        assert storage.get_object("bucket", "key") == b"".join(bytes([number]) * number for number in range(1, 101))
