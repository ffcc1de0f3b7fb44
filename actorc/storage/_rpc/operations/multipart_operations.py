"""The server's operations on multipart uploads as typed calls: models in, models out."""

from __future__ import annotations

from collections.abc import Sequence

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.random_ids import random_id
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.byte_source import source_errors
from actorc.storage._rpc.data_calls import Write
from actorc.storage._rpc.payload import Upload
from actorc.storage._rpc.retries.deadline import MOVING_SECONDS, time_for
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage.models import Destination, ObjectInfo, PartInfo


class RemoteUploads:
    """Multipart uploads on a storage server, one part of `RemoteStore`."""

    _rpc: Rpc

    def create_upload(self, destination: Destination, timeout: float | None = None) -> str:
        """Begin an upload and return its id."""
        request = pb.CreateMultipartUploadRequest(
            **messages.destination_fields(destination), idempotency_key=random_id()
        )
        return self._rpc.ask(request, lambda answer: answer_checks.of_upload(answer.upload_id), timeout=timeout)

    def put_part(
        self, bucket: str, key: str, upload_id: str, number: int, upload: Upload, *, timeout: float | None = None
    ) -> PartInfo:
        """Store a part; an exception of the caller's own source is raised unchanged."""
        with source_errors():
            write = Write.of_part(upload, bucket, key, upload_id, number)
            return self._rpc.send("WriteObject", write, timeout=timeout)

    def complete_upload(
        self,
        destination: Destination,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        timeout: float | None = None,
        *,
        size: int = 0,
        crc32c: int | None = None,
    ) -> ObjectInfo:
        """Make the object of parts given by number and etag; attributes are those the upload was begun with.

        Without a `timeout`, the server has time for `size` bytes. If their `crc32c` is given, it must make an object of
        just these.
        """
        request = pb.CompleteMultipartUploadRequest(
            bucket=destination.bucket,
            key=destination.key,
            upload_id=upload_id,
            parts=[pb.CompletedPart(number=number, etag=etag) for number, etag in parts],
            condition=messages.condition_message(destination.condition),
            idempotency_key=random_id(),
        )

        def judge(answer: pb.CompleteMultipartUploadResponse) -> ObjectInfo:
            info = answer_checks.of_object(messages.object_info(answer.object), destination.bucket, destination.key)
            return info if crc32c is None else answer_checks.of_write(info, info.bucket, info.key, size, crc32c)

        return self._rpc.ask(
            request,
            judge,
            timeout=MOVING_SECONDS + time_for(size) if timeout is None else timeout,
            patient=timeout is not None,
        )

    def abort_upload(self, bucket: str, key: str, upload_id: str, timeout: float | None = None) -> None:
        """Drop an upload."""
        request = pb.AbortMultipartUploadRequest(bucket=bucket, key=key, upload_id=upload_id)
        self._rpc.ask(request, bool, timeout=timeout)
