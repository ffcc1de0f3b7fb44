"""The methods of the service for many objects in one message, independently of each other."""

from __future__ import annotations

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import messages
from actorc.storage.rules import MAX_PAGE_BYTES

from .call import Call
from .method_group import MethodGroup


class BatchMethods(MethodGroup):
    """The methods for many objects."""

    def delete_objects(self, request: pb.DeleteObjectsRequest, call: Call) -> pb.DeleteObjectsResponse:
        """Remove many objects, independently of each other."""
        call.keys = request.keys
        results = self._as(call).delete_many(request.bucket, request.keys, idempotency_key=request.idempotency_key)
        answer = pb.DeleteObjectsResponse(results=map(messages.delete_message, results))
        # the results must arrive, if not every message in full
        if answer.ByteSize() > MAX_PAGE_BYTES:
            answer = pb.DeleteObjectsResponse(results=map(messages.brief_delete_message, results))
        return answer

    def put_objects(self, request: pb.PutObjectsRequest, call: Call) -> pb.PutObjectsResponse:
        """Store small objects, independently of each other."""
        objects = list(map(messages.small_object, request.objects))
        call.keys, call.bytes = [each.key for each in objects], sum(len(each.data) for each in objects)
        results = self._as(call).put_many(request.bucket, objects, idempotency_key=request.idempotency_key)
        named = [(each.key, call.told(result)) for each, result in zip(objects, results, strict=True)]
        answer = pb.PutObjectsResponse(results=[messages.put_message(*each) for each in named])
        # the results must arrive, if not every message in full
        if answer.ByteSize() > MAX_PAGE_BYTES:
            answer = pb.PutObjectsResponse(results=[messages.put_message(*each, brief=True) for each in named])
        return answer

    def get_objects(self, request: pb.GetObjectsRequest, call: Call) -> pb.GetObjectsResponse:
        """Return small objects, independently of each other, as many as one message takes."""
        call.keys = keys = [each.key for each in request.objects]
        answer, size = pb.GetObjectsResponse(), 0
        for key, result in zip(keys, self._as(call).read_many(request.bucket, keys), strict=True):
            message = messages.get_message(key, call.told(result))
            size += message.ByteSize()
            if answer.results and size > MAX_PAGE_BYTES:
                break
            call.bytes += len(message.data)
            answer.results.append(message)
        return answer

    def head_objects(self, request: pb.HeadObjectsRequest, call: Call) -> pb.HeadObjectsResponse:
        """Describe objects, independently of each other, as many as one message takes."""
        answer, size = pb.HeadObjectsResponse(), 0
        call.keys = request.keys
        for key, result in zip(request.keys, self._as(call).head_many(request.bucket, request.keys), strict=True):
            message = messages.head_message(key, call.told(result))
            size += message.ByteSize()
            if answer.results and size > MAX_PAGE_BYTES:
                break
            answer.results.append(message)
        return answer
