"""How an object comes into the store: in one request where a condition must hold, in many where nothing is demanded."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import Final, NamedTuple

from actorc.storage.errors import ResourceExhaustedError, StorageError, UnsupportedError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo
from actorc.storage.rules import MiB
from actorc.storage.server.engines.preconditions import (
    Clock,
    check_request,
    fingerprint,
    judge,
    microseconds,
    object_missing,
)

from .conditional_writes import Judgement
from .errors import Conflict
from .key_layout import Names
from .object_metadata import Record, call_id, check_attributes
from .object_store import MAX_SINGLE, Backend
from .prefetch import ahead
from .spool import Spool

_ONE_REQUEST: Final = 64 * MiB
"""Objects up to this many bytes are sent in one request, whether or not a condition must hold."""
_ATTEMPTS: Final = 4
"""How often the object that is there is looked at while others change it."""
_TAKEN: Final = "?"
"""Stands for the etag of an object that this service did not write."""


class Present(NamedTuple):
    """The object that is there."""

    record: Record | None
    """None: this service did not write it."""
    size: int
    etag: str
    """The store's own."""


class Target(NamedTuple):
    """What an object is to become."""

    bucket: str
    key: str
    attributes: ObjectAttributes
    condition: Condition
    call: str
    """Tells which call makes it, so that a repetition is known; empty: none can be."""
    asked: tuple[object, ...]
    """What the call asks for beside bytes, by which it is told from another one with its idempotency key."""
    names_bytes: bool = False
    """Whether that says which bytes, too, so that their checksum is no part of what is asked for."""

    def request(self, crc32c: int) -> bytes | None:
        """Return the `fingerprint` of the call that makes it of bytes with this checksum; None: none can repeat it."""
        if not self.call:
            return None
        return fingerprint(*self.asked) if self.names_bytes else fingerprint(crc32c, *self.asked)


class Commits:
    """Makes objects visible.

    Args:
        backend: The store.
        names: What things are called there.
        judgement: What conditions the store judges, and how they are put to it.
        clock: Tells the time.
    """

    def __init__(self, backend: Backend, names: Names, judgement: Judgement, clock: Clock) -> None:
        self._backend = backend
        self._names = names
        self._judgement = judgement
        self._clock = clock
        self._changes = threading.Lock()
        self._generation = 0

    def next_generation(self, above: int = 0) -> int:
        """Return a number greater than `above` and all before it in this process, and the time in microseconds."""
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
        """Return what a call is to make.

        Args:
            operation: Of which the idempotency key is.
            bucket: Where the object goes.
            key: Where the object goes.
            attributes: What goes with it.
            condition: What must be true of the object that is there.
            idempotency_key: Unique per logical call.

        Raises:
            InvalidParameterError: The store cannot hold the key or the attributes.
            UnsupportedError: It cannot do what is demanded.
        """
        self._names.object(bucket, key)
        check_attributes(attributes)
        if attributes.ttl is not None:
            raise UnsupportedError("this server's storage engine removes nothing by itself; leave ttl out")
        self._judgement.check(condition)
        return Target(bucket, key, attributes, condition, call_id(operation, idempotency_key), (attributes, condition))

    def publish(self, target: Target, spool: Spool) -> ObjectInfo:
        """Make an object of staged bytes; all or nothing.

        Raises:
            AlreadyExistsError: `target.condition.if_absent` and the key is taken.
            PreconditionFailedError: `target.condition.if_match` is not the etag of the present object.
            UnsupportedError: There is a condition, and more bytes than the store takes in one request.
        """
        size, record = spool.size, self._record(target, spool.checksum())
        if target.condition != ANY:
            _check_single(size)
            with spool.taken() as body:
                return self._demanding(target, body, record)
        name = self._names.object(target.bucket, target.key)
        if size <= _ONE_REQUEST:
            with spool.taken() as body:
                self._backend.put(name, body, record.attributes())
        else:
            self._backend.put_in_parts(name, spool.pieces(), size, record.attributes())
        return record.info(target.bucket, target.key, size)

    def stream(self, target: Target, body: Iterator[bytes], size: int, crc32c: int) -> ObjectInfo:
        """Make an object of bytes that are still to come, without a condition; all or nothing.

        Args:
            target: What it is to become.
            body: Its bytes; if it raises, there is no object.
            size: Their number.
            crc32c: Their checksum.
        """
        record = self._record(target, crc32c)
        name = self._names.object(target.bucket, target.key)
        with ahead(body) as pieces:
            self._backend.put_in_parts(name, pieces, size, record.attributes())
        return record.info(target.bucket, target.key, size)

    def is_streamed(self, target: Target, size: int) -> bool:
        """Return whether an object is made by `stream`, rather than staged whole and then sent."""
        if target.condition != ANY:
            _check_single(size)
            return False
        return size > _ONE_REQUEST

    def find(self, bucket: str, key: str) -> Present | None:
        """Return the object that is there."""
        found = self._backend.head(self._names.object(bucket, key))
        return None if found is None else Present(Record.of(found.attributes), found.size, found.etag)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe the present object.

        Raises:
            ObjectNotFoundError: There is none that this service wrote.
        """
        present = self.find(bucket, key)
        if present is None or present.record is None:
            raise object_missing(bucket, key)
        return present.record.info(bucket, key, present.size)

    def made_by(self, bucket: str, key: str, call: str, request: bytes) -> ObjectInfo | None:
        """Return the present object if this call made it.

        Raises:
            IdempotencyKeyReusedError: It did, and had asked for something else than `request`.
        """
        present = self.find(bucket, key) if call else None
        if present is None or present.record is None or present.record.call != call:
            return None
        check_request(present.record.request, request, bucket, key)
        return present.record.info(bucket, key, present.size)

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

    def _demanding(self, target: Target, body: memoryview, record: Record) -> ObjectInfo:
        """Send bytes on a condition; a write of this very call that is there already is the answer.

        A lost race shows as a conflict, or as a failure of the store's, or not at all when the answer was lost. What
        became of it is read back: it was this call if its mark is there.
        """
        failure: StorageError | None = None
        present = None
        for attempt in range(_ATTEMPTS):
            if attempt or not target.condition.if_absent:
                present = self.find(target.bucket, target.key)
            if present and present.record and present.record.call == record.call:
                check_request(present.record.request, record.request or b"", target.bucket, target.key)
                return present.record.info(target.bucket, target.key, present.size)
            judge(target.condition, present_etag(present), target.bucket, target.key)
            if failure is not None:
                raise failure
            try:
                self._send(target, body, record, present)
            except Conflict:
                continue
            except StorageError as error:
                if not error.retryable:
                    raise
                failure = error
            else:
                return record.info(target.bucket, target.key, len(body))
        raise failure or ResourceExhaustedError("others change this object all the time; try again in a moment")

    def _send(self, target: Target, body: memoryview, record: Record, present: Present | None) -> None:
        name = self._names.object(target.bucket, target.key)
        if present is None:
            self._backend.create(name, body, record.attributes())
        else:
            self._backend.replace(name, body, record.attributes(), self._judgement.form(present.etag))


def present_etag(present: Present | None) -> str | None:
    """Return what a condition is judged on."""
    if present is None:
        return None
    return present.record.etag if present.record else _TAKEN


def _check_single(size: int) -> None:
    if size > MAX_SINGLE:
        raise UnsupportedError(
            f"the store takes at most {MAX_SINGLE} bytes on a condition; put the object without if_absent or if_match"
        )
