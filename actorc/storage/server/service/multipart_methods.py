"""The methods of the service about multipart uploads; their bytes come by `WriteObject`."""

from __future__ import annotations

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import messages
from actorc.storage.server.engines.base import PartChoice

from .call import Call
from .method_group import MethodGroup


class MultipartMethods(MethodGroup):
    """The methods about multipart uploads."""

    def create_multipart_upload(
        self, request: pb.CreateMultipartUploadRequest, call: Call
    ) -> pb.CreateMultipartUploadResponse:
        """Begin a multipart upload."""
        upload_id = self._as(call).multipart.create(
            request.bucket,
            request.key,
            attributes=messages.attributes(request, request.ttl_seconds),
            condition=messages.condition(request.condition),
            idempotency_key=request.idempotency_key,
        )
        return pb.CreateMultipartUploadResponse(upload_id=upload_id)

    def complete_multipart_upload(
        self, request: pb.CompleteMultipartUploadRequest, call: Call
    ) -> pb.CompleteMultipartUploadResponse:
        """Make the object of the parts of an upload."""
        info = self._as(call).multipart.complete(
            request.bucket,
            request.key,
            request.upload_id,
            [PartChoice(part.number, part.etag) for part in request.parts],
            condition=messages.condition(request.condition),
            idempotency_key=request.idempotency_key,
        )
        return pb.CompleteMultipartUploadResponse(object=messages.object_message(info))

    def abort_multipart_upload(
        self, request: pb.AbortMultipartUploadRequest, call: Call
    ) -> pb.AbortMultipartUploadResponse:
        """Drop an upload and its parts."""
        self._as(call).multipart.abort(request.bucket, request.key, request.upload_id)
        return pb.AbortMultipartUploadResponse()

    def list_parts(self, request: pb.ListPartsRequest, call: Call) -> pb.ListPartsResponse:
        """Return one page of parts."""
        parts, is_truncated = self._as(call).multipart.parts(
            request.bucket,
            request.key,
            request.upload_id,
            page_size=request.page_size,
            after_number=request.after_number,
        )
        return pb.ListPartsResponse(parts=map(messages.part_message, parts), is_truncated=is_truncated)

    def list_multipart_uploads(
        self, request: pb.ListMultipartUploadsRequest, call: Call
    ) -> pb.ListMultipartUploadsResponse:
        """Return one page of uploads under way."""
        uploads, token = self._as(call).multipart.page(
            request.bucket, prefix=request.prefix, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListMultipartUploadsResponse(uploads=map(messages.upload_message, uploads), next_page_token=token)
