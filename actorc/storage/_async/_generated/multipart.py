"""Generated from ``actorc.storage._client.multipart`` by ``make async-client``; do not edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actorc.storage._async.call import ThreadCall
from actorc.storage._async.session import AsyncSession
from actorc.storage._async.stream_adapters import AsyncByteSource, source_for
from actorc.storage.models import CompletedPart, NewUpload, PartResult, PutResult, UploadList


class AsyncMultipartMethods(AsyncSession):
    """The methods of ``_client.multipart``, awaited."""

    async def create_multipart_upload(
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
        return await self._run(
            self._client.create_multipart_upload,
            bucket,
            key,
            content_type,
            metadata,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            timeout=timeout,
        )

    async def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        data: AsyncByteSource,
        *,
        timeout: float | None = None,
    ) -> PartResult:
        """Store a part, replacing the one of this number; it is on disk when this returns.

        Parts may be of any size, be sent in any order, from any thread, process and machine.

        Args:
            bucket: Bucket name.
            key: Object key.
            upload_id: What `create_multipart_upload` returned.
            part_number: 1 to 10000; parts are joined in this order.
            data: A bytes-like object, an open binary file or an iterable of bytes.
                Asynchronous iterables and files are taken, too.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.upload_part, bucket, key, upload_id, part_number, source_for(call, data), timeout=timeout
        )

    async def complete_multipart_upload(
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
            upload_id: What `create_multipart_upload` returned.
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
        return await self._run(
            self._client.complete_multipart_upload,
            bucket,
            key,
            upload_id,
            parts,
            if_absent=if_absent,
            if_match=if_match,
            timeout=timeout,
        )

    async def abort_multipart_upload(
        self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None
    ) -> None:
        """Drop an upload and its parts; one that is not there is no error."""
        await self._run(self._client.abort_multipart_upload, bucket, key, upload_id, timeout=timeout)

    async def list_parts(
        self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None
    ) -> list[PartResult]:
        """Return all parts stored so far, in order of their numbers.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
        return await self._run(self._client.list_parts, bucket, key, upload_id, timeout=timeout)

    async def list_multipart_uploads(
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
        return await self._run(
            self._client.list_multipart_uploads, bucket, prefix, max_uploads, page_token=page_token, timeout=timeout
        )
