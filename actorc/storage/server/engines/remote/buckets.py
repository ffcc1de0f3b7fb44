"""Buckets, which the store knows nothing of: each exists by a small object that marks it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import BucketInfo
from actorc.storage.rules import DEFAULT_CONTENT_TYPE
from actorc.storage.server.engines.preconditions import (
    bucket_missing,
    bucket_not_empty,
    bucket_taken,
    check_request,
    fingerprint,
    utc,
)

from .errors import Conflict
from .key_layout import Names
from .object_metadata import Record, call_id
from .object_store import Backend
from .publish import Commits

_BELIEVED: Final = 5.0
"""Seconds for which a bucket that was there is taken to be there: a look before each write would double its time."""


class Markers:
    """The buckets.

    Args:
        backend: The store.
        names: What things are called there.
        commits: Numbers what is made.
    """

    def __init__(self, backend: Backend, names: Names, commits: Commits) -> None:
        self._backend = backend
        self._names = names
        self._commits = commits
        self._seen: dict[str, float] = {}

    def create(self, bucket: str, *, exist_ok: bool, idempotency_key: str) -> BucketInfo:
        """Make a bucket, or return the one there is if `exist_ok`.

        Raises:
            AlreadyExistsError: It exists, was not made by this call, and not `exist_ok`.
        """
        call = call_id("bucket", idempotency_key)
        made = Record(
            generation=self._commits.next_generation(),
            written_us=self._commits.now_us(),
            crc32c=0,
            content_type=DEFAULT_CONTENT_TYPE,
            call=call,
            request=fingerprint(exist_ok) if call else None,
        )
        present = self._load(bucket)
        if present is None:
            try:
                self._backend.create(self._names.marker(bucket), b"", made.attributes())
            except Conflict:
                present = self._load(bucket)
        if present and not exist_ok and (not call or present.call != call):
            raise bucket_taken(bucket)
        if present and made.request is not None and present.call == call:
            check_request(present.request, made.request, bucket)
        self._seen[bucket] = time.monotonic()
        return _info(bucket, present or made)

    def delete(self, bucket: str) -> None:
        """Remove the marker of a bucket that holds no objects.

        Whoever writes to it at the same moment, through whatever server, writes to a bucket that is gone.

        Raises:
            BucketNotEmptyError: It holds objects.
        """
        self._seen.pop(bucket, None)
        if self._load(bucket) is None:
            raise bucket_missing(bucket)
        if next(self._backend.names(self._names.bucket(bucket)), None) is not None:
            raise bucket_not_empty(bucket)
        self._backend.delete([self._names.marker(bucket)])
        self._seen.pop(bucket, None)

    def head(self, bucket: str) -> BucketInfo:
        """Describe a bucket.

        Raises:
            BucketNotFoundError: There is none.
        """
        found = self.find(bucket)
        if found is None:
            raise bucket_missing(bucket)
        return found

    def find(self, bucket: str) -> BucketInfo | None:
        """Describe a bucket; None if there is none."""
        record = self._load(bucket)
        return None if record is None else _info(bucket, record)

    def names(self) -> list[str]:
        """Return the names of all buckets in order."""
        return [marker.name.rpartition("/")[2] for marker in self._backend.names(self._names.markers)]

    def check(self, bucket: str) -> None:
        """Return if there is a bucket, or was one some seconds ago.

        Raises:
            BucketNotFoundError: There is none.
        """
        now = time.monotonic()
        if now - self._seen.get(bucket, -_BELIEVED) < _BELIEVED:
            return
        self.head(bucket)
        self._seen[bucket] = now

    @contextmanager
    def told(self, bucket: str) -> Iterator[None]:
        """Have a missing object tell of a missing bucket, if that is why.

        Raises:
            BucketNotFoundError: So it is.
        """
        try:
            yield
        except ObjectNotFoundError:
            self.check(bucket)
            raise

    def _load(self, bucket: str) -> Record | None:
        found = self._backend.head(self._names.marker(bucket))
        return None if found is None else Record.of(found.attributes)


def _info(bucket: str, record: Record) -> BucketInfo:
    return BucketInfo(name=bucket, created_at=utc(record.written_us))
