"""The results of puts with one idempotency key: of a put alone in a row of its own, of a batch in one row for all.

A row for each object of a batch would be a third of the pages that the batch changes, and a fifth of its time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from actorc.storage.models import Condition, ObjectAttributes
from actorc.storage.server.engines.local.rows import call_id, unpack_metadata
from actorc.storage.server.engines.request_fingerprints import check_request, fingerprint, reused

from .idempotency import IdempotencyLog


class AskedPut(NamedTuple):
    """What a put asks for, beside its key; the same if the call is repeated."""

    size: int
    crc32c: int
    attributes: ObjectAttributes
    condition: Condition


class PutOutcomes:
    """Recalls and records the puts of one call, within one transaction: `recall` comes first, and `remember` last.

    A put that goes alone may have the idempotency key of a batch that had it before, and the other way round, so both
    rows are looked for.

    Args:
        log: What records results.
        bucket: Bucket of the objects.
        keys: The keys of the objects, each once.
        idempotency_key: The key of the call; empty: nothing is recalled and recorded.
    """

    def __init__(self, log: IdempotencyLog, bucket: str, keys: Sequence[str], idempotency_key: str) -> None:
        self._log = log
        self._calls = {key: call_id("commit", bucket, key, idempotency_key) for key in keys} if idempotency_key else {}
        # no object has the empty key
        self._batch = call_id("commit", bucket, "", idempotency_key)
        self._alone: dict[str, tuple[bytes | None, str]] = {}
        self._together: dict[str, list[Any]] = {}
        self._made: dict[str, tuple[AskedPut, tuple[Any, ...]]] = {}

    def recall(self, connection: sqlite3.Connection) -> None:
        """Look up what earlier calls with the key recorded; again if the transaction is begun anew.

        Raises:
            IntegrityError: A row of it is damaged.
        """
        self._made = {}
        if self._calls:
            found = self._log.recorded(connection, [*self._calls.values(), self._batch])
            self._together = json.loads(found[self._batch][1]) if self._batch in found else {}
            self._alone = {key: found[call] for key, call in self._calls.items() if call in found} if found else {}

    def earlier(self, key: str, asked: AskedPut) -> tuple[Any, ...] | None:
        """Return the row of `FIELDS` of an object that an earlier call put; None if none did.

        Raises:
            IdempotencyKeyReusedError: It asked for something else.
        """
        if key in self._alone:
            request, result = self._alone[key]
            check_request(request, fingerprint(*asked))
            return tuple(json.loads(result))
        if key in self._together:
            recorded = self._together[key]
            if not _is_asked(recorded, asked):
                raise reused()
            return tuple(recorded[:_FIELDS])
        return None

    def made(self, key: str, asked: AskedPut, fields: tuple[Any, ...]) -> None:
        """Note the row of `FIELDS` of an object that was put."""
        self._made[key] = asked, fields

    def remember(self, connection: sqlite3.Connection) -> None:
        """Record what was put."""
        if not self._calls or not self._made:
            return
        if len(self._calls) == 1:
            ((key, (asked, fields)),) = self._made.items()
            self._log.record(connection, self._calls[key], fingerprint(*asked), fields)
        else:
            made = {key: _together(*put) for key, put in self._made.items()}
            self._log.record(connection, self._batch, None, {**self._together, **made})


_FIELDS = 7
"""Columns of `rows.FIELDS`, with which the record of an object of a batch begins."""


def _together(asked: AskedPut, fields: tuple[Any, ...]) -> tuple[Any, ...]:
    # size, checksum, type and metadata are among the fields
    condition = asked.condition
    return *fields, asked.attributes.ttl, condition.if_absent, condition.if_match


def _is_asked(recorded: list[Any], asked: AskedPut) -> bool:
    _, size, crc32c, content_type, metadata, _, _, *others = recorded
    attributes, condition = asked.attributes, asked.condition
    return (size, crc32c, content_type) == (asked.size, asked.crc32c, attributes.content_type) and (
        unpack_metadata(metadata),
        others,
    ) == (dict(attributes.metadata), [attributes.ttl, condition.if_absent, condition.if_match])
