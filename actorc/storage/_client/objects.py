"""Methods about objects in memory: put, get, head, list, copy and delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from actorc.storage import rules
from actorc.storage._rpc import result_dicts
from actorc.storage.errors import NotFoundError
from actorc.storage.models import ListQuery, ListResult, ObjectHead, ObjectInfo, PutResult

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from actorc.storage._rpc.byte_source import ByteSource


class ObjectMethods(Session):
    """The methods of `StorageClient` about objects in memory."""

    def put_object(
        self,
        bucket: str,
        key: str,
        data: ByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store `data` under `key`, replacing what was there.

        All or nothing: readers see the old object or the new one. When this returns, the object is on disk, if the
        server's engine is durable. A buffer of 64 MiB or more is sent over more than one connection only if that is
        faster.

        Args:
            bucket: Bucket name.
            key: Object key.
            data: Any bytes-like object whose memory is contiguous, such as bytes, an array, a map of a file or a
                `pyarrow.Buffer`; a list or tuple of them, which are stored one after the other; also an open binary
                file, which is read from where it stands, or an iterable of bytes, neither of which is ever held in
                memory whole.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object, 8 KiB in total.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A name, `data` or `metadata` breaks a rule, or `data` is a file at its end; nothing
                was sent.
            NotFoundError: The bucket does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
            NetworkError: The service stayed out of reach.
        """
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=if_absent, if_match=if_match, ttl=ttl
        )
        return self._put(destination, data, timeout=timeout)

    def head_object(self, bucket: str, key: str, *, timeout: float | None = None) -> ObjectHead:
        """Return the description of an object without reading it.

        Raises:
            NotFoundError: The bucket or the object does not exist.
        """
        return result_dicts.object_head(self._remote.head(*arguments.object_name(bucket, key), timeout))

    def object_exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such an object; raises if that cannot be found out."""
        try:
            self.head_object(bucket, key, timeout=timeout)
        except NotFoundError:
            return False
        return True

    def delete_object(
        self, bucket: str, key: str, *, if_match: str | None = None, timeout: float | None = None
    ) -> None:
        """Remove an object; a missing one is no error.

        Args:
            bucket: Bucket name.
            key: Object key.
            if_match: Remove only the object with this etag.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket does not exist.
            PreconditionFailedError: The object is not the one of `if_match`.
        """
        condition = arguments.etag_condition(if_match)
        self._remote.delete(*arguments.object_name(bucket, key), condition, timeout)

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
        timeout: float | None = None,
    ) -> PutResult:
        """Make a new object of the bytes of another, inside the server.

        All or nothing, like a put. Content type and metadata are the source's, unless one of them is given; then both
        are new.

        Args:
            source_bucket: Bucket of the source.
            source_key: Key of the source.
            bucket: Bucket of the copy; may be another one.
            key: Key of the copy.
            content_type: MIME type of the copy.
            metadata: Names and values kept with the copy.
            generation: Copy this generation of the source or fail.
            source_if_match: Copy only a source with this etag.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the copy is gone; it stays if not given.
            timeout: Seconds for the whole call; ten minutes if not given.

        Raises:
            NotFoundError: A bucket, the source or its generation does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The source or the current object is not that of its condition.
        """
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=if_absent, if_match=if_match, ttl=ttl
        )
        info = self._remote.copy(
            arguments.object_name(source_bucket, source_key),
            destination,
            keep_attributes=content_type is None and metadata is None,
            generation=arguments.checked_generation(generation),
            source_condition=arguments.etag_condition(source_if_match),
            timeout=timeout,
        )
        return result_dicts.put_result(info)

    def list_objects(
        self,
        bucket: str,
        prefix: str = "",
        max_keys: int = 1000,
        *,
        delimiter: str = "",
        page_token: str | None = None,
        details: bool = True,
        timeout: float | None = None,
    ) -> ListResult:
        """List objects in byte order of their keys.

        Args:
            bucket: Bucket name.
            prefix: List only keys that begin with it.
            max_keys: Names at most, fetched in as many pages as it takes; 0 lists nothing, and is not truncated.
            delimiter: Roll keys that contain it behind the prefix up into ``common_prefixes``.
            page_token: ``next_page_token`` of a listing with the same bucket, prefix and delimiter.
            details: Whether to describe objects in full; otherwise only bucket, key, size and last_modified are given
                and the rest is empty. A server over another store, such as S3, then makes no request for each object,
                and lists those that other programs put there, too.
            timeout: Seconds for each page.

        Raises:
            NotFoundError: The bucket does not exist.
        """
        query = arguments.list_query(bucket, prefix, delimiter, details=details)
        most, token = rules.check_count(max_keys, "max_keys"), arguments.page_token(page_token)
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        # also for a limit of 0, so that a missing bucket is an error
        for page in self._remote.pages(query, most=most or 1, token=token, timeout=timeout):
            objects += page.objects
            prefixes += page.prefixes
            token = page.token
        if not most:
            return result_dicts.list_result(bucket, prefix, [], [], "")
        return result_dicts.list_result(bucket, prefix, objects, prefixes, token)

    def iter_objects(
        self, bucket: str, prefix: str = "", *, details: bool = True, timeout: float | None = None
    ) -> Iterator[ObjectHead]:
        """Iterate over all objects in byte order of their keys, fetched page by page.

        Objects written or removed meanwhile may or may not appear; all others appear once. `details` is that of
        `list_objects`.
        """
        return self._all_objects(arguments.list_query(bucket, prefix, details=details), timeout)

    def _all_objects(self, query: ListQuery, timeout: float | None) -> Iterator[ObjectHead]:
        for page in self._remote.pages(query, timeout=timeout):
            yield from map(result_dicts.object_head, page.objects)
