"""The multipart family of the server's operations, as typed calls."""

from __future__ import annotations

from collections.abc import Sequence

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb

from . import _wire
from ._deadline import MOVING_SECONDS, time_for
from ._rpc import Rpc
from ._streams import Write, fresh_key
from ._transfer import Upload, source_errors
from .models import Destination, ObjectInfo, PartInfo, UploadInfo


class RemoteUploads:
    """Multipart uploads on a storage server."""

    _rpc: Rpc

    def create_upload(self, destination: Destination, timeout: float | None = None) -> str:
        """Begin an upload and return its id."""
        request = pb.CreateMultipartUploadRequest(
            bucket=destination.bucket,
            key=destination.key,
            content_type=destination.attributes.content_type,
            metadata=dict(destination.attributes.metadata),
            condition=_wire.condition_message(destination.condition),
            ttl_seconds=destination.attributes.ttl or 0,
            idempotency_key=fresh_key(),
        )
        answer = self._rpc.ask("CreateMultipartUpload", request, pb.CreateMultipartUploadResponse, timeout=timeout)
        return answer.upload_id

    def put_part(
        self, bucket: str, key: str, upload_id: str, number: int, upload: Upload, *, timeout: float | None = None
    ) -> PartInfo:
        """Store a part. Whatever the caller's own source raises comes out as it is."""
        with source_errors():
            write = Write.of_part(upload, bucket, key, upload_id, number)
            return _wire.part_info(self._rpc.send("WriteObject", write, timeout=timeout).part_done)

    def complete_upload(
        self,
        destination: Destination,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        timeout: float | None = None,
        *,
        size: int = 0,
    ) -> ObjectInfo:
        """Make the object of parts given by number and etag; attributes are those the upload was begun with.

        Without a `timeout`, the server has time for `size` bytes.
        """
        request = pb.CompleteMultipartUploadRequest(
            bucket=destination.bucket,
            key=destination.key,
            upload_id=upload_id,
            parts=[pb.CompletedPart(number=number, etag=etag) for number, etag in parts],
            condition=_wire.condition_message(destination.condition),
            idempotency_key=fresh_key(),
        )
        answer = self._rpc.ask(
            "CompleteMultipartUpload",
            request,
            pb.CompleteMultipartUploadResponse,
            timeout=MOVING_SECONDS + time_for(size) if timeout is None else timeout,
        )
        return _wire.object_info(answer.object)

    def abort_upload(self, bucket: str, key: str, upload_id: str, timeout: float | None = None) -> None:
        """Drop an upload."""
        request = pb.AbortMultipartUploadRequest(bucket=bucket, key=key, upload_id=upload_id)
        self._rpc.ask("AbortMultipartUpload", request, pb.AbortMultipartUploadResponse, timeout=timeout)

    def parts(self, bucket: str, key: str, upload_id: str, timeout: float | None = None) -> list[PartInfo]:
        """Return all parts in order of their numbers."""
        found: list[PartInfo] = []
        while True:
            request = pb.ListPartsRequest(
                bucket=bucket, key=key, upload_id=upload_id, after_number=found[-1].number if found else 0
            )
            answer = self._rpc.ask("ListParts", request, pb.ListPartsResponse, timeout=timeout)
            found += [_wire.part_info(message) for message in answer.parts]
            if not answer.is_truncated:
                return found

    def uploads(
        self, bucket: str, prefix: str, limit: int, token: str, timeout: float | None = None
    ) -> tuple[list[UploadInfo], str]:
        """Return a page of uploads under way and the token of the next one, empty on the last."""
        request = pb.ListMultipartUploadsRequest(bucket=bucket, prefix=prefix, page_size=limit, page_token=token)
        answer = self._rpc.ask("ListMultipartUploads", request, pb.ListMultipartUploadsResponse, timeout=timeout)
        return [_wire.upload_info(message) for message in answer.uploads], answer.next_page_token
