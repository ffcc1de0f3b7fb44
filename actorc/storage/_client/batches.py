"""Many objects of one bucket in few calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from actorc.storage._rpc import result_dicts
from actorc.storage.models import DeleteObjectsResult, GetObjectsResult, NewObject, PutObjectsResult

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Buffer


class BatchMethods(Session):
    """Operations on many objects, one part of `StorageClient`."""

    def put_objects(
        self, bucket: str, objects: Mapping[str, Buffer] | Iterable[NewObject], *, timeout: float | None = None
    ) -> PutObjectsResult:
        """Store any number of small objects in few calls, each of them all or nothing, independently of each other.

        When this returns, those in ``stored`` are on disk, if the server's engine is durable. Objects of more than
        128 KiB go one by one.

        Args:
            bucket: Bucket name.
            objects: Bytes by key, or a dict for each object: ``key``, ``data`` and, if wanted, the other arguments of
                `put_object`. The bytes are any bytes-like objects whose memory is contiguous, and no key is there
                twice. They are sent in batches of at most 1000, and of at most 4 MiB.
            timeout: Seconds for each batch.

        Returns:
            ``stored``, the results of `put_object` in the order of `objects`, and ``errors``, a `StorageError` for each
            key that could not be stored.

        Raises:
            InvalidParameterError: One of the objects breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            NetworkError: The service stayed out of reach; some may be stored.
        """
        from actorc.storage._transfer import object_batches  # noqa: PLC0415  # loads the checksum library

        small = arguments.small_objects(bucket, objects)
        results = object_batches.put(self._remote, bucket, small, timeout)
        return result_dicts.put_objects_result(zip([each.key for each in small], results, strict=True))

    def get_objects(self, bucket: str, keys: Iterable[str], *, timeout: float | None = None) -> GetObjectsResult:
        """Return any number of small objects, read in few calls, each verified against its checksum.

        All of them are held in memory. Objects of more than 128 KiB are read one by one.

        Args:
            bucket: Bucket name.
            keys: Object keys; they are asked for in batches of at most 1000.
            timeout: Seconds for each batch.

        Returns:
            ``objects``, for each the dict that `head_object` returns with its bytes as ``data``, in the order of
            `keys`, and ``errors``, a `StorageError` for each key that could not be read, such as a `NotFoundError`.

        Raises:
            InvalidParameterError: A name breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            NetworkError: The service stayed out of reach.
        """
        from actorc.storage._transfer import object_batches  # noqa: PLC0415  # loads the checksum library

        names = arguments.keys(bucket, keys)
        results = object_batches.get(self._remote, bucket, names, timeout)
        return result_dicts.get_objects_result(zip(names, results, strict=True))

    def delete_objects(self, bucket: str, keys: Iterable[str], *, timeout: float | None = None) -> DeleteObjectsResult:
        """Remove any number of objects, independently of each other; a missing one is no error.

        Args:
            bucket: Bucket name.
            keys: Object keys; they are sent in batches of at most 1000.
            timeout: Seconds for each batch.

        Returns:
            ``deleted``, the keys without an object now, and ``errors``, a `StorageError` for each key that could not be
            removed.

        Raises:
            InvalidParameterError: A name breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
        """
        from actorc.storage._transfer import object_batches  # noqa: PLC0415  # loads the checksum library

        names = arguments.keys(bucket, keys)
        return result_dicts.delete_objects_result(object_batches.delete(self._remote, bucket, names, timeout))
