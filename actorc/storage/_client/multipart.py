"""Multipart uploads under S3's names: an object in parts, sent in any order and in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from actorc.storage import rules
from actorc.storage._rpc import result_dicts
from actorc.storage.models import CompletedPart, NewUpload, PartResult, PutResult, UploadList

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from actorc.storage._rpc.byte_source import ByteSource


class MultipartMethods(Session):
    """The methods of `StorageClient` about multipart uploads."""

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
        timeout: float | None = None,
    ) -> NewUpload:
        """Begin an object that is sent in parts; nothing is visible until `complete_multipart_upload` returns.

        An upload that is neither completed nor aborted is removed by the server some days after its last part.

        Args:
            bucket: Bucket name.
            key: Object key.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            if_absent: Refuse to replace; judged now and again when the upload is completed.
            if_match: Replace only the object with this etag; judged twice, too.
            ttl: Seconds, from completion on, after which the object is gone; it stays if not given.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
        """
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=if_absent, if_match=if_match, ttl=ttl
        )
        upload_id = self._remote.create_upload(destination, timeout)
        return NewUpload(bucket=bucket, key=key, upload_id=upload_id)

    def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        data: ByteSource,
        *,
        timeout: float | None = None,
    ) -> PartResult:
        """Store a part, replacing the one of this number; it is on disk when this returns.

        Parts may be of any size, be sent in any order, from any thread, process and machine.

        Args:
            bucket: Bucket name.
            key: Object key.
            upload_id: The result of `create_multipart_upload`.
            part_number: 1 to 10000; parts are joined in this order.
            data: A bytes-like object, an open binary file or an iterable of bytes.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
        from actorc.storage._rpc.payload import Upload  # noqa: PLC0415  # loads the checksum library

        rules.check_part_number(part_number)
        name = (*arguments.object_name(bucket, key), arguments.upload_id(upload_id))
        return result_dicts.part_result(self._remote.put_part(*name, part_number, Upload(data), timeout=timeout))

    def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[CompletedPart],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Make the object of its parts. All or nothing, like a put.

        Args:
            bucket: Bucket name.
            key: Object key.
            upload_id: The result of `create_multipart_upload`.
            parts: ``{"part_number": …, "etag": …}`` for each part, in ascending order, as `upload_part` and
                `list_parts` return them; parts that are not named are dropped.
            if_absent: Refuse to replace; in addition to what the upload was begun with.
            if_match: Replace only the object with this etag; in addition, too.
            timeout: Seconds for the whole call; if not given, ten minutes, and more for parts that tell their size.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
            InvalidParameterError: A part was not stored, or with another etag, or the order is wrong.
            AlreadyExistsError: `if_absent`, here or at the beginning, and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
        """
        destination = arguments.destination(bucket, key, if_absent=if_absent, if_match=if_match)
        numbers, size = arguments.completed_parts(parts)
        info = self._remote.complete_upload(destination, arguments.upload_id(upload_id), numbers, timeout, size=size)
        return result_dicts.put_result(info)

    def abort_multipart_upload(self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None) -> None:
        """Drop an upload and its parts; a missing one is no error."""
        name = arguments.object_name(bucket, key)
        self._remote.abort_upload(*name, arguments.upload_id(upload_id), timeout)

    def list_parts(self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None) -> list[PartResult]:
        """Return all parts stored so far, in order of their numbers.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
        name = (*arguments.object_name(bucket, key), arguments.upload_id(upload_id))
        return [result_dicts.part_result(part) for part in self._remote.parts(*name, timeout)]

    def list_multipart_uploads(
        self,
        bucket: str,
        prefix: str = "",
        max_uploads: int = 1000,
        *,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> UploadList:
        """List uploads under way in order of key, then of their beginning.

        Args:
            bucket: Bucket name.
            prefix: List only uploads whose key begins with it.
            max_uploads: Uploads at most, fetched in as many pages as it takes; 0 lists nothing, and is not truncated.
            page_token: ``next_page_token`` of a listing with the same bucket and prefix.
            timeout: Seconds for each page.

        Raises:
            NotFoundError: The bucket does not exist.
        """
        rules.check_bucket(bucket)
        rules.check_prefix(prefix)
        most = rules.check_count(max_uploads, "max_uploads")
        # also for a limit of 0, so that a missing bucket is an error
        token = arguments.page_token(page_token)
        uploads, token = self._remote.uploads(bucket, prefix, most=most or 1, token=token, timeout=timeout)
        if not most:
            return result_dicts.upload_list(bucket, prefix, [], "")
        return result_dicts.upload_list(bucket, prefix, uploads, token)
