"""Blobs: objects named by the digest of their bytes, stored once, and verified in memory as they are read."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    IntegrityError,
    NotFoundError,
    PermissionError,
)
from actorc.storage.rules import MAX_INLINE_SIZE
from lucas_storage.errors import DigestMismatchError, InvalidRefError

from .body import Body

_REMEMBERED: Final = 10_000
"""Small blobs of which a handle knows that they are there; others are sent without asking first."""


def key_of(prefix: str, digest: str) -> str:
    """Return the key of a blob."""
    value = digest.removeprefix("sha256:")
    return f"{prefix}/sha256/{value[:2]}/{value}"


def prefix_of(key: str, digest: str | None) -> str:
    """Return what the keys of an artifact and of its parts begin with.

    Raises:
        InvalidRefError: The key is not one that `key_of` gives.
    """
    prefix = key[: -len(key_of("", digest))] if digest else ""
    if not digest or not prefix or key != key_of(prefix, digest):
        raise InvalidRefError(f"an artifact of several parts lies under its digest, and {key!r:.80} is no such place")
    return prefix


class Blobs:
    """The blobs of one store.

    Args:
        client: Where they are.
        renewed_after: Seconds after which a blob that is there is stored again, so that it does not count as old while
            it is taken into use.
    """

    def __init__(self, client: StorageClient, renewed_after: float) -> None:
        self._client = client
        self._renewed_after = timedelta(seconds=renewed_after)
        self._distrusted: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str]] = set()

    def put(self, bucket: str, key: str, body: Body, content_type: str) -> None:
        """Store bytes unless the same are there already, judged by size and CRC-32C together."""
        trusted = (bucket, key) not in self._distrusted
        likely = body.size > MAX_INLINE_SIZE or (bucket, key) in self._seen
        if trusted and likely and self._holds(bucket, key, body):
            return
        try:
            self.send(bucket, key, body, content_type, if_absent=trusted and body.size <= MAX_INLINE_SIZE)
        except AlreadyExistsError:
            if not self._holds(bucket, key, body):
                self.send(bucket, key, body, content_type)
        self._distrusted.discard((bucket, key))
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen.add((bucket, key))

    def send(self, bucket: str, key: str, body: Body, content_type: str, **options: Any) -> None:
        """Store bytes, in a bucket that is made if it is missing and the server lets us."""
        try:
            body.send(self._client, bucket, key, content_type, **options)
        except BucketNotFoundError as missing:
            try:
                self._client.create_bucket(bucket, exist_ok=True)
            except PermissionError:
                raise missing from None
            body.send(self._client, bucket, key, content_type, **options)

    def is_fresh(self, bucket: str, key: str) -> bool:
        """Say whether a blob is there, trusted, and young enough to be taken into use without storing it again."""
        if (bucket, key) in self._distrusted:
            return False
        try:
            head = self._client.head_object(bucket, key)
        except NotFoundError:
            return False
        return not self._is_old(head["last_modified"])

    def distrust(self, bucket: str, key: str) -> None:
        """Let the next `put` overwrite a blob, whatever the store says of it."""
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
            self.distrust(bucket, key)
        return self._read(bucket, key, digest, limit)

    def _read(self, bucket: str, key: str, digest: str, limit: int) -> bytes:
        data = self._client.get_object(bucket, key, length=limit + 1)
        if len(data) > limit or "sha256:" + hashlib.sha256(data).hexdigest() != digest:
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
        if self._is_old(head["last_modified"]):
            return False
        return head["size"] == body.size and head["crc32c"] == f"{body.crc32c():08x}"

    def _is_old(self, stored_at: datetime) -> bool:
        return datetime.now(UTC) - stored_at > self._renewed_after
