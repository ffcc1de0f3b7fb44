"""Blobs: objects named by the digest of their bytes, stored once, and verified in memory as they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    IntegrityError,
    NotFoundError,
    PermissionError,
    PreconditionFailedError,
    StorageError,
)
from actorc.storage.models import NewObject
from actorc.storage.rules import MAX_INLINE_SIZE
from lucas_storage import parallel
from lucas_storage.errors import DigestMismatchError, InvalidRefError
from lucas_storage.refs import digest_of

from .body import Body, EncodedBody

T = TypeVar("T")

CONDITIONAL_REMOVAL: Final = "delete-if-match"
"""Capability of a store whose removals can be bound to the etag of the object that was looked at."""
_REMEMBERED: Final = 10_000
"""Small blobs that a handle remembers as stored; others are sent without asking first."""


def key_of(prefix: str, digest: str) -> str:
    """Return the key of a blob."""
    value = digest.removeprefix("sha256:")
    return f"{prefix}/sha256/{value[:2]}/{value}"


def prefix_of(key: str, digest: str | None) -> str:
    """Return the prefix that the keys of an artifact and of its parts share.

    Raises:
        InvalidRefError: The key is not one that `key_of` gives.
    """
    prefix = key[: -len(key_of("", digest))] if digest else ""
    if not digest or not prefix or key != key_of(prefix, digest):
        raise InvalidRefError(f"an artifact of several parts lies under its digest, and {key!r:.80} is no such place")
    return prefix


class Blobs:
    """The blobs of one store. Safe to share between threads.

    Args:
        client: Client of the store.
        renewed_after: Seconds after which a blob that is there is stored again, so that it does not count as old while
            it is taken into use.
    """

    def __init__(self, client: StorageClient, renewed_after: float) -> None:
        self._client = client
        self._renewed_after = timedelta(seconds=renewed_after)
        # Without a lock: each use is one operation of a set, and a lost race only stores the same bytes twice.
        self._distrusted: set[tuple[str, str]] = set()
        self._seen: dict[tuple[str, str], float] = {}
        """When each blob was stored or found young, by the monotonic clock."""

    def put(self, bucket: str, key: str, body: Body, content_type: str) -> None:
        """Store bytes unless the same are there already, judged by size and CRC-32C together."""
        trusted = (bucket, key) not in self._distrusted
        # To ask first costs a round trip. It pays where sending costs more, or where the answer is likely to be yes;
        # a small blob is sent at once, and the store itself refuses it if it is there.
        likely = body.size > MAX_INLINE_SIZE or (bucket, key) in self._seen
        if trusted and likely and self._holds(bucket, key, body):
            return
        try:
            self.send(bucket, key, body, content_type, if_absent=trusted and body.size <= MAX_INLINE_SIZE)
        except AlreadyExistsError:
            # An object under this key is not yet the blob: it may be damaged, or of another program. Then it is
            # replaced.
            self._mend(bucket, key, body, content_type)
        self._remember(bucket, key)

    def put_all(self, bucket: str, blobs: Mapping[str, tuple[EncodedBody, str]]) -> None:
        """Store small bodies, each with its content type, by key, in one call; those that are there as `put` does.

        Raises:
            StorageError: Of the first that could not be stored; others may be.
        """
        objects: list[NewObject] = [
            {
                "key": key,
                "data": body.data(),
                "content_type": content_type,
                "if_absent": (bucket, key) not in self._distrusted,
            }
            for key, (body, content_type) in blobs.items()
        ]
        errors = self.send_all(bucket, objects)
        for error in errors.values():
            if not isinstance(error, AlreadyExistsError):
                raise error
        parallel.each(lambda key: self._mend(bucket, key, *blobs[key]), errors)
        for key in blobs:
            self._remember(bucket, key)

    def _mend(self, bucket: str, key: str, body: Body, content_type: str) -> None:
        """Replace an object that is not the blob of its key."""
        if not self._holds(bucket, key, body):
            self.send(bucket, key, body, content_type)

    def _remember(self, bucket: str, key: str) -> None:
        self._distrusted.discard((bucket, key))
        self.found_young(bucket, key)

    def found_young(self, bucket: str, key: str) -> None:
        """Note that a blob is there, and has just been stored or found young."""
        # To forget costs one call for each blob, never a wrong answer.
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[bucket, key] = time.monotonic()

    def send(self, bucket: str, key: str, body: Body, content_type: str, **options: Any) -> None:
        """Store bytes, in a bucket that is made if it is missing and the caller may make it."""
        self._with_bucket(bucket, lambda: body.send(self._client, bucket, key, content_type, **options))

    def send_all(
        self, bucket: str, objects: Sequence[NewObject], timeout: float | None = None
    ) -> dict[str, StorageError]:
        """Store small objects in few calls, and return the error of each that failed; the bucket is made as by `send`.

        Args:
            bucket: The bucket.
            objects: As `StorageClient.put_objects` takes them.
            timeout: Seconds for each call; None for the usual ones.
        """
        results = self._with_bucket(bucket, lambda: self._client.put_objects(bucket, objects, timeout=timeout))
        return results["errors"]

    def _with_bucket(self, bucket: str, send: Callable[[], T]) -> T:
        try:
            return send()
        except BucketNotFoundError as missing:
            try:
                self._client.create_bucket(bucket, exist_ok=True)
            except PermissionError:
                raise missing from None  # the user can make the bucket; the refused attempt to is not his error
            return send()

    def is_fresh(self, bucket: str, key: str) -> bool:
        """Return whether a blob is there, trusted, and young enough to be used without storing it again."""
        if (bucket, key) in self._distrusted:
            return False
        try:
            head = self._client.head_object(bucket, key)
        except NotFoundError:
            return False
        return not self.is_old(head["last_modified"])

    def is_young(self, bucket: str, key: str) -> bool:
        """Return whether a blob was stored, or found young, by this handle, so lately that it is young now."""
        seen = self._seen.get((bucket, key))
        # half of what a blob that was nearly old then has left until the grace period ends
        return seen is not None and time.monotonic() - seen < self._renewed_after.total_seconds() / 2

    def renew(self, bucket: str, key: str) -> None:
        """Store a blob anew where it is, if it is old, so that no collection that found it old removes it.

        A store whose removals cannot be bound to an etag is left as it is: there nobody refers to anything meanwhile.

        Raises:
            NotFoundError: It is gone.
        """
        head = self._client.head_object(bucket, key)
        if self.is_old(head["last_modified"]) and self._removes_conditionally:
            # The process that stored it meanwhile has renewed it as well.
            with suppress(PreconditionFailedError):
                self._client.copy_object(bucket, key, bucket, key, if_match=head["etag"])

    @cached_property
    def _removes_conditionally(self) -> bool:
        return CONDITIONAL_REMOVAL in self._client.server_info()["capabilities"]

    def distrust(self, bucket: str, key: str) -> None:
        """Let the next `put` overwrite a blob, even if the store reports the right size and checksum."""
        self._distrusted.add((bucket, key))

    def read(self, bucket: str, key: str, digest: str, limit: int) -> bytes:
        """Return a blob of at most `limit` bytes; one that is damaged is fetched once more.

        Raises:
            NotFoundError: There is none.
            DigestMismatchError: Its bytes do not match their digest; the next `put` of them replaces them.
        """
        try:
            return self._read(bucket, key, digest, limit)
        except IntegrityError:
            # Once more: the bytes may have been damaged on the way, not in the store. If they are wrong again, the next
            # `put` of the same value replaces them, although the store takes them for right.
            self.distrust(bucket, key)
        return self._read(bucket, key, digest, limit)

    def _read(self, bucket: str, key: str, digest: str, limit: int) -> bytes:
        # One byte more than allowed shows that the object is too long, without reading the rest of it into memory.
        data = self._client.get_object(bucket, key, length=limit + 1)
        if len(data) > limit or digest_of((data,)) != digest:
            raise DigestMismatchError(
                "a part of an artifact does not match its digest, and was not used; store the value again",
                bucket=bucket,
                key=key,
            )
        return data

    def _holds(self, bucket: str, key: str, body: Body) -> bool:
        try:
            head = self._client.head_object(bucket, key)
        except NotFoundError:
            return False
        # Stored again, although it is there: `gc` goes by age, and could remove it before a reference to it is seen.
        if self.is_old(head["last_modified"]):
            return False
        return head["size"] == body.size and head["crc32c"] == f"{body.crc32c():08x}"

    def is_old(self, stored_at: datetime) -> bool:
        """Return whether a blob that was stored then is to be stored again where it is taken into use."""
        return datetime.now(UTC) - stored_at > self._renewed_after
