"""Publishes objects: in one request if a condition must hold, in many if there is none and the object is large."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final, NamedTuple

from actorc.storage.errors import ResourceExhaustedError, StorageError, UnsupportedError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo
from actorc.storage.rules import MiB
from actorc.storage.server.engines.errors import object_missing
from actorc.storage.server.engines.preconditions import check_precondition
from actorc.storage.server.engines.request_fingerprints import check_request, fingerprint
from actorc.storage.server.engines.times import Clock, microseconds

from .condition_support import ConditionSupport
from .errors import Conflict
from .key_layout import KeyLayout
from .object_metadata import Record, call_id, check_attributes
from .object_store import MAX_SINGLE, Backend
from .prefetch import prefetched
from .spool import Spool

_ATTEMPTS: Final = 4
"""How often the current object is looked up while others change it."""
_FOREIGN_ETAG: Final = "?"
"""Stands for the etag of an object that this service did not write."""


class CurrentObject(NamedTuple):
    """The current object of a key."""

    record: Record | None
    """None: this service did not write it."""
    size: int
    etag: str
    """The etag of the store."""
    version: str | None = None
    """Its version in the store; None: the store tells none."""


class Target(NamedTuple):
    """The object that a call is to make."""

    bucket: str
    key: str
    attributes: ObjectAttributes
    condition: Condition
    call: str
    """Identity of the call, by which a repetition is recognised; empty: it has no idempotency key."""
    asked: tuple[object, ...]
    """Arguments of the call beside the bytes, compared if another call has the same idempotency key."""
    names_bytes: bool = False
    """Whether the arguments determine the bytes, so that the checksum is not compared."""

    def request(self, crc32c: int) -> bytes | None:
        """Return the `fingerprint` of the call for bytes with this checksum; None: it has no idempotency key."""
        if not self.call:
            return None
        return fingerprint(*self.asked) if self.names_bytes else fingerprint(crc32c, *self.asked)


class Publisher:
    """Makes objects visible. Any thread may call it.

    Args:
        backend: The store.
        names: KeyLayout in the store.
        conditions: The conditions that the store checks, and its form of etags.
        clock: Seconds since 1970-01-01 UTC.
    """

    max_one_request: ClassVar[int] = 64 * MiB
    """Bytes; objects up to this size are sent in one request, with or without a condition."""

    def __init__(self, backend: Backend, names: KeyLayout, conditions: ConditionSupport, clock: Clock) -> None:
        self._backend = backend
        self._names = names
        self._conditions = conditions
        self._clock = clock
        # guards the generation: no two writes of this process may have the same one
        self._changes = threading.Lock()
        self._generation = 0

    def next_generation(self, above: int = 0) -> int:
        """Return a generation greater than `above` and all before it in this process, and not below the time."""
        with self._changes:
            self._generation = max(self.now_us(), self._generation + 1, above + 1)
            return self._generation

    def now_us(self) -> int:
        """Return the time in microseconds since 1970-01-01 UTC."""
        return microseconds(self._clock)

    def target(
        self,
        operation: str,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition,
        idempotency_key: str,
    ) -> Target:
        """Return the object that a call is to make.

        Args:
            operation: Operation that the idempotency key belongs to.
            bucket: Bucket of the object.
            key: Key of the object.
            attributes: Attributes of the object.
            condition: Condition on the current object.
            idempotency_key: Unique per logical call.

        Raises:
            InvalidParameterError: The store cannot hold the key or the attributes.
            UnsupportedError: The store cannot check the condition, or would have to remove the object after its ttl.
        """
        self._names.object(bucket, key)
        check_attributes(attributes)
        self._conditions.check(condition)
        return Target(bucket, key, attributes, condition, call_id(operation, idempotency_key), (attributes, condition))

    def publish(self, target: Target, spool: Spool) -> ObjectInfo:
        """Make an object of spooled bytes; all or nothing.

        Raises:
            AlreadyExistsError: `target.condition.if_absent` and the key is taken.
            PreconditionFailedError: `target.condition.if_match` is not the etag of the current object.
            UnsupportedError: There is a condition, and more bytes than the store takes in one request.
        """
        size, record = spool.size, self._record(target, spool.checksum())
        if target.condition != ANY:
            _check_single(size)
            with spool.as_view() as body:
                return self._publish_conditionally(target, body, record)
        name = self._names.object(target.bucket, target.key)
        if size <= self.max_one_request:
            with spool.as_view() as body:
                self._backend.put(name, body, record.attributes())
        else:
            self._backend.put_in_parts(name, spool.pieces(), size, record.attributes())
        return record.info(target.bucket, target.key, size)

    def stream(self, target: Target, body: Iterator[bytes], size: int, crc32c: int) -> ObjectInfo:
        """Make an object of bytes that are still to arrive, without a condition; all or nothing.

        Args:
            target: The object to make.
            body: Its bytes; if it raises, nothing is stored.
            size: Number of bytes.
            crc32c: Checksum of the bytes.
        """
        record = self._record(target, crc32c)
        name = self._names.object(target.bucket, target.key)
        with prefetched(body) as pieces:
            self._backend.put_in_parts(name, pieces, size, record.attributes())
        return record.info(target.bucket, target.key, size)

    def is_streamed(self, target: Target, size: int) -> bool:
        """Return whether an object is made by `stream`, and not spooled first."""
        if target.condition != ANY:
            _check_single(size)
            return False
        return size > self.max_one_request

    def find(self, bucket: str, key: str) -> CurrentObject | None:
        """Return the current object, or None."""
        found = self._backend.head(self._names.object(bucket, key))
        return (
            None if found is None else CurrentObject(Record.of(found.attributes), found.size, found.etag, found.version)
        )

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Return the description of the current object.

        Raises:
            ObjectNotFoundError: There is none that this service wrote.
        """
        current = self.find(bucket, key)
        if current is None or current.record is None:
            raise object_missing(bucket, key)
        return current.record.info(bucket, key, current.size)

    def made_by(self, bucket: str, key: str, call: str, request: bytes) -> ObjectInfo | None:
        """Return the current object if this call made it.

        Raises:
            IdempotencyKeyReusedError: It made it with other arguments than `request`.
        """
        current = self.find(bucket, key) if call else None
        if current is None or current.record is None or current.record.call != call:
            return None
        check_request(current.record.request, request, bucket, key)
        return current.record.info(bucket, key, current.size)

    def _record(self, target: Target, crc32c: int) -> Record:
        return Record(
            generation=self.next_generation(),
            written_us=self.now_us(),
            crc32c=crc32c,
            content_type=target.attributes.content_type,
            metadata=dict(target.attributes.metadata),
            call=target.call or secrets.token_hex(16),
            request=target.request(crc32c),
        )

    def _publish_conditionally(self, target: Target, body: memoryview, record: Record) -> ObjectInfo:
        """Send bytes on a condition; if an attempt of the same call stored them before, return that object.

        A lost race appears as a conflict, as a failure of the store, or not at all if the answer was lost. So the
        object is read back, and this call made it if it has the identity of the call, or that of the object before it.
        """
        failure: StorageError | None = None
        current = None
        for attempt in range(_ATTEMPTS):
            # with `if_absent` the store itself finds out whether there is an object, so the first attempt saves a
            # request
            if attempt or not target.condition.if_absent:
                current = self.find(target.bucket, target.key)
            if made := _made(target, record, current, len(body)):
                return made
            check_precondition(target.condition, current_etag(current), target.bucket, target.key)
            # the condition still holds, so the failed request stored nothing
            if failure is not None:
                raise failure
            try:
                self._send(target, body, record, current)
            except Conflict:
                # another writer was faster, so the condition is checked against its object
                continue
            except StorageError as error:
                if not error.retryable:
                    raise
                failure = error
            else:
                return record.info(target.bucket, target.key, len(body))
        raise failure or ResourceExhaustedError("others change this object all the time; try again in a moment")

    def _send(self, target: Target, body: memoryview, record: Record, current: CurrentObject | None) -> None:
        name = self._names.object(target.bucket, target.key)
        if current is None:
            self._backend.create(name, body, record.attributes())
        else:
            etag = self._conditions.compared_etag(current.etag)
            # so that a repeated call finds itself there also when the next writer was faster than it
            attributes = record.replacing(current.record).attributes()
            self._backend.replace(name, body, attributes, etag, current.version)


def _made(target: Target, record: Record, current: CurrentObject | None, size: int) -> ObjectInfo | None:
    """Return the object of a call if an attempt of it made the current one, or one that was replaced on a condition."""
    if current is None or current.record is None:
        return None
    if current.record.call == record.call:
        check_request(current.record.request, record.request or b"", target.bucket, target.key)
        return current.record.info(target.bucket, target.key, current.size)
    earlier = current.record.made_before(record.call)
    return earlier and replace(record, generation=earlier.generation).info(target.bucket, target.key, size)


def current_etag(current: CurrentObject | None) -> str | None:
    """Return the etag that a condition is checked against, or None for no object."""
    if current is None:
        return None
    return current.record.etag if current.record else _FOREIGN_ETAG


def _check_single(size: int) -> None:
    if size > MAX_SINGLE:
        raise UnsupportedError(
            f"the store takes at most {MAX_SINGLE} bytes on a condition; put the object without if_absent or if_match"
        )
