"""Buckets in the store: each exists by a small marker object, as all of them share one bucket of the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorc.storage.content_types import DEFAULT_CONTENT_TYPE
from actorc.storage.errors import InvalidParameterError, ObjectNotFoundError
from actorc.storage.models import BucketInfo
from actorc.storage.rules import check_bucket
from actorc.storage.server.engines.errors import bucket_missing, bucket_not_empty, bucket_taken
from actorc.storage.server.engines.request_fingerprints import check_request, fingerprint
from actorc.storage.server.engines.times import utc

from .errors import Conflict
from .key_layout import KeyLayout
from .object_metadata import Record, call_id
from .object_store import Backend
from .publish import Publisher

_RECHECK_SECONDS: Final = 5.0
"""Seconds for which a bucket that was found is taken to exist: a look-up before each write would double its time."""


class BucketMarkers:
    """The buckets, by their markers. Any thread may call it.

    Args:
        backend: The store.
        names: KeyLayout in the store.
        publisher: Provides time and generations.
    """

    def __init__(self, backend: Backend, names: KeyLayout, publisher: Publisher) -> None:
        self._backend = backend
        self._names = names
        self._publisher = publisher
        # without a lock: a thread that reads an old entry makes one request more, or fewer
        self._seen: dict[str, float] = {}

    def create(self, bucket: str, *, exist_ok: bool, idempotency_key: str) -> BucketInfo:
        """Make a bucket and return it; with `exist_ok`, return an existing one.

        Raises:
            AlreadyExistsError: It exists, was not made by this call, and `exist_ok` is False.
        """
        call = call_id("bucket", idempotency_key)
        made = Record(
            generation=self._publisher.next_generation(),
            written_us=self._publisher.now_us(),
            crc32c=0,
            content_type=DEFAULT_CONTENT_TYPE,
            call=call,
            request=fingerprint(exist_ok) if call else None,
        )
        current = self._load(bucket)
        if current is None:
            try:
                self._backend.create(self._names.marker(bucket), b"", made.attributes())
            except Conflict:
                # another call made it between the look-up and this request
                current = self._load(bucket)
        if current and not exist_ok and (not call or current.call != call):
            raise bucket_taken(bucket)
        if current and made.request is not None and current.call == call:
            check_request(current.request, made.request, bucket)
        self._seen[bucket] = time.monotonic()
        return _info(bucket, current or made)

    def delete(self, bucket: str) -> None:
        """Remove the marker of an empty bucket.

        A write at the same moment, through any server, may succeed, and its object is then in a bucket that is gone.

        Raises:
            BucketNotEmptyError: It contains objects.
        """
        self._seen.pop(bucket, None)
        if self._load(bucket) is None:
            raise bucket_missing(bucket)
        if next(self._backend.names(self._names.bucket(bucket)), None) is not None:
            raise bucket_not_empty(bucket)
        self._backend.delete([self._names.marker(bucket)])
        # again, since another thread may have found the marker before it was removed
        self._seen.pop(bucket, None)

    def head(self, bucket: str) -> BucketInfo:
        """Return the description of a bucket.

        Raises:
            BucketNotFoundError: There is none.
        """
        found = self.find(bucket)
        if found is None:
            raise bucket_missing(bucket)
        return found

    def find(self, bucket: str) -> BucketInfo | None:
        """Return the description of a bucket, or None if there is none."""
        record = self._load(bucket)
        return None if record is None else _info(bucket, record)

    def names(self) -> list[str]:
        """Return the names of all buckets, in order."""
        found = (marker.name.rpartition("/")[2] for marker in self._backend.names(self._names.markers))
        return list(filter(_is_bucket, found))

    def check(self, bucket: str) -> None:
        """Check that a bucket exists, or existed some seconds ago.

        Raises:
            BucketNotFoundError: There is none.
        """
        now = time.monotonic()
        if now - self._seen.get(bucket, -_RECHECK_SECONDS) < _RECHECK_SECONDS:
            return
        self.head(bucket)
        self._seen[bucket] = now

    @contextmanager
    def bucket_errors(self, bucket: str) -> Iterator[None]:
        """Turn "object not found" into "bucket not found" if the bucket is missing.

        Raises:
            BucketNotFoundError: The bucket is missing.
        """
        try:
            yield
        except ObjectNotFoundError:
            self.check(bucket)
            raise

    def _load(self, bucket: str) -> Record | None:
        found = self._backend.head(self._names.marker(bucket))
        return None if found is None else Record.of(found.attributes)


def _is_bucket(name: str) -> bool:
    """Return whether a bucket can have this name; others may write into the store."""
    try:
        check_bucket(name)
    except InvalidParameterError:
        return False
    return True


def _info(bucket: str, record: Record) -> BucketInfo:
    return BucketInfo(name=bucket, created_at=utc(record.written_us))
