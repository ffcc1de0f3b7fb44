"""The rules of the service, called without a server, under the surface of the client."""

# ruff: noqa: D102 (what the methods promise is said in client.py)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from actorc.storage import rules
from actorc.storage._client import arguments
from actorc.storage._rpc import answer_checks, result_dicts
from actorc.storage._rpc.byte_source import ByteSource, SourceFailedError
from actorc.storage._rpc.payload import Upload
from actorc.storage._transfer import object_batches, object_ranges
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import NotFoundError
from actorc.storage.models import (
    BucketResult,
    CompletedPart,
    Condition,
    DeleteObjectsResult,
    GetObjectsResult,
    ListResult,
    NewObject,
    ObjectAttributes,
    ObjectHead,
    PartResult,
    PutObjectsResult,
    PutResult,
    ServerInfoResult,
    UploadList,
)
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store import upload as store_upload
from actorc.storage.server.store.store import ObjectStore

from .store_calls import StoreCalls, checked, committed

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")


class StoreFace:
    """An `ObjectStore` as a client sees it, without what only a network has: timeouts, progress, files.

    Args:
        store: The rules over an engine.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put_object(
        self,
        bucket: str,
        key: str,
        data: bytes,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
    ) -> PutResult:
        attributes = _attributes(content_type, metadata, ttl)
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        if len(data) > rules.MAX_INLINE_SIZE:
            begun = self._store.begin_write(bucket, key, attributes=attributes, condition=condition)
            return result_dicts.put_result(_filled(begun, data))
        put = self._store.put(bucket, key, data, crc32c(data), attributes=attributes, condition=condition)
        return result_dicts.put_result(put)

    def upload_from_stream(
        self,
        bucket: str,
        key: str,
        stream: ByteSource,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
    ) -> PutResult:
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        begun = self._store.begin_write(bucket, key, attributes=_attributes(ttl=ttl), condition=condition)
        return result_dicts.put_result(_filled(begun, stream))

    def stream_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
    ) -> Iterator[bytes]:
        part = rules.check_range(offset, length)
        with self._store.read(bucket, key, ranges=[part], generation=generation, if_match=if_match) as (_, chunks):
            for chunk in chunks:
                yield checked(chunk, bucket, key)

    def get_object(
        self, bucket: str, key: str, *, as_view: bool = False, out: Buffer | None = None, **options: Any
    ) -> bytes | memoryview:
        data = b"".join(self.stream_object(bucket, key, **options))
        if out is None:
            return memoryview(data) if as_view else data
        target = arguments.target(out, as_view=as_view)
        answer_checks.check_room(len(data), target, bucket, key)
        target[: len(data)] = data
        return target[: len(data)]

    def get_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Iterable[tuple[int, int]],
        *,
        generation: int | None = None,
        if_match: str | None = None,
    ) -> list[bytes]:
        parts = arguments.near_ranges(ranges)
        return object_ranges.get(StoreCalls(self._store), bucket, key, parts, generation, if_match=if_match)

    def head_object(self, bucket: str, key: str) -> ObjectHead:
        return result_dicts.object_head(self._store.head(bucket, key))

    def object_exists(self, bucket: str, key: str) -> bool:
        try:
            self._store.head(bucket, key)
        except NotFoundError:
            return False
        return True

    def delete_object(self, bucket: str, key: str, *, if_match: str | None = None) -> None:
        self._store.delete(bucket, key, condition=Condition(if_match=if_match))

    def delete_objects(self, bucket: str, keys: Iterable[str]) -> DeleteObjectsResult:
        return result_dicts.delete_objects_result(self._store.delete_many(bucket, list(keys)))

    def put_objects(self, bucket: str, objects: Mapping[str, Buffer] | Iterable[NewObject]) -> PutObjectsResult:
        small = arguments.small_objects(bucket, objects)
        results = object_batches.put(StoreCalls(self._store), bucket, small)
        return result_dicts.put_objects_result(zip([each.key for each in small], results, strict=True))

    def get_objects(self, bucket: str, keys: Iterable[str]) -> GetObjectsResult:
        names = list(keys)
        results = object_batches.get(StoreCalls(self._store), bucket, names)
        return result_dicts.get_objects_result(zip(names, results, strict=True))

    def copy_object(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        generation: int | None = None,
        source_if_match: str | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
    ) -> PutResult:
        keep = content_type is None and metadata is None
        info = self._store.copy(
            CopySource(bucket=source_bucket, key=source_key, generation=generation, if_match=source_if_match),
            bucket,
            key,
            attributes=None if keep else _attributes(content_type, metadata),
            condition=rules.check_condition(if_absent=if_absent, if_match=if_match),
            ttl=ttl,
        )
        return result_dicts.put_result(info)

    def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
    ) -> dict[str, str]:
        upload_id = self._store.multipart.create(
            bucket,
            key,
            attributes=_attributes(content_type, metadata, ttl),
            condition=rules.check_condition(if_absent=if_absent, if_match=if_match),
        )
        return {"bucket": bucket, "key": key, "upload_id": upload_id}

    def upload_part(self, bucket: str, key: str, upload_id: str, part_number: int, data: ByteSource) -> PartResult:
        begun = self._store.multipart.begin_part(bucket, key, upload_id, part_number)
        return result_dicts.part_result(_filled(begun, data))

    def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[CompletedPart],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> PutResult:
        choices = [PartChoice(part["part_number"], part["etag"]) for part in parts]
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        info = self._store.multipart.complete(bucket, key, upload_id, choices, condition=condition)
        return result_dicts.put_result(info)

    def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._store.multipart.abort(bucket, key, upload_id)

    def list_parts(self, bucket: str, key: str, upload_id: str) -> list[PartResult]:
        found: list[PartResult] = []
        more = True
        while more:
            after = found[-1]["part_number"] if found else 0
            parts, more = self._store.multipart.parts(bucket, key, upload_id, after_number=after)
            found += map(result_dicts.part_result, parts)
        return found

    def list_multipart_uploads(
        self, bucket: str, prefix: str = "", max_uploads: int = 1000, *, page_token: str | None = None
    ) -> UploadList:
        uploads, token = self._store.multipart.page(
            bucket, prefix=prefix, page_size=max_uploads, page_token=page_token or ""
        )
        return result_dicts.upload_list(bucket, prefix, uploads, token)

    def list_objects(
        self,
        bucket: str,
        prefix: str = "",
        max_keys: int = 1000,
        *,
        delimiter: str = "",
        page_token: str | None = None,
        details: bool = True,
    ) -> ListResult:
        page = self._store.page(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            page_size=max_keys,
            page_token=page_token or "",
            details=details,
        )
        return result_dicts.list_result(bucket, prefix, page.objects, page.common_prefixes, page.next_after)

    def create_bucket(self, bucket: str, *, exist_ok: bool = False) -> BucketResult:
        return result_dicts.bucket_result(self._store.create_bucket(bucket, exist_ok=exist_ok))

    def delete_bucket(self, bucket: str) -> None:
        self._store.delete_bucket(bucket)

    def list_buckets(self) -> list[BucketResult]:
        return [result_dicts.bucket_result(info) for info in self._store.bucket_page()[0]]

    def bucket_exists(self, bucket: str) -> bool:
        return any(info.name == bucket for info in self._store.bucket_page()[0])

    def server_info(self) -> ServerInfoResult:
        return result_dicts.server_info_result(self._store.server_info(), "")


def _attributes(
    content_type: str | None = None, metadata: Mapping[str, str] | None = None, ttl: int | None = None
) -> ObjectAttributes:
    return ObjectAttributes(content_type=content_type or "", metadata=rules.check_metadata(metadata), ttl=ttl)


def _filled(begun: store_upload.Upload[T], source: ByteSource) -> T:
    """Send what a source yields as an upload of the store; return what its commit returned."""
    try:
        return committed(begun, Upload(source))
    except SourceFailedError as failed:
        raise failed.original from None
