"""The operations that pass files between a client and a server on the same machine."""

from __future__ import annotations

from collections.abc import Sequence

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.payload import Upload
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage.errors import DamagedMessageError, UnsupportedError
from actorc.storage.models import Destination, ObjectInfo
from actorc.storage.rules import MAX_INLINE_SIZE

from .file_write import FileWrite
from .object_files import ObjectFiles, Segment


class RemoteFiles:
    """Files of objects, one part of `RemoteStore`. Where they cannot be passed, the result is None; send bytes then."""

    _rpc: Rpc

    def open_files(
        self,
        bucket: str,
        key: str,
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> ObjectFiles | None:
        """Open the files of an object, if it has any and the server passes them."""
        request = pb.OpenObjectRequest(bucket=bucket, key=key, generation=generation or 0, if_match=if_match or "")

        def judge(answer: pb.OpenObjectResponse, descriptors: Sequence[int]) -> ObjectFiles | None:
            info = answer_checks.of_read(messages.object_info(answer.object), bucket, key, generation, if_match)
            segments = _segments(answer.segments, descriptors)
            return ObjectFiles(info, segments) if segments else None

        try:
            return self._rpc.open(request, judge, timeout=timeout)
        except UnsupportedError:  # an older server
            return None

    def put_file(self, destination: Destination, upload: Upload, *, timeout: float | None = None) -> ObjectInfo | None:
        """Have the server copy the file that is to be uploaded, if it is one, and the server takes it."""
        file = upload.file
        if file is None or upload.size is None or upload.size <= MAX_INLINE_SIZE:
            return None
        try:
            info = self._rpc.send("WriteObject", FileWrite(upload, *file, destination), timeout=timeout)
        except UnsupportedError:  # the file is on a file system that the server does not read
            return None
        if info is not None:
            upload.skip()
        return info


def _segments(found: Sequence[pb.Segment], descriptors: Sequence[int]) -> list[Segment]:
    left = iter(descriptors)
    segments = [
        Segment(
            size=each.size,
            sums=tuple(each.sums),
            descriptor=-1 if each.data else next(left, -1),
            is_unchanged=each.is_unchanged,
            data=each.data,
        )
        for each in found
    ]
    if sum(segment.descriptor >= 0 for segment in segments) != len(descriptors):
        raise DamagedMessageError("the server passed other files than it described")
    return segments
