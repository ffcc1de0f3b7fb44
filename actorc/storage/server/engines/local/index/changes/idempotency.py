"""Idempotency keys, generations and time of changes: a repeated call returns the result of the first.

The result is recorded in the transaction of the change, so a retry finds either both or none.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar, cast

from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.reserve import Reserve
from actorc.storage.server.engines.local.index import retention
from actorc.storage.server.engines.local.index.row_checksums import damaged_row, intact
from actorc.storage.server.engines.local.index.schema import WritingConnection
from actorc.storage.server.engines.local.index.value_lists import ListStatement
from actorc.storage.server.engines.local.rows import pack_json
from actorc.storage.server.engines.request_fingerprints import check_request, fingerprint
from actorc.storage.server.engines.times import REMEMBERED_SECONDS, Clock, microseconds

from .group_commit import GroupCommit
from .pending_change import Change

T = TypeVar("T")

_RECALL = f"SELECT {intact('outcome')}, call, request, result FROM outcome WHERE at_us > ? AND"
_PAIR = 2
# two look-ups in the index of calls; a list of two takes longer, since SQLite makes a table of it
_RECALL_PAIR = f"{_RECALL} call = ? UNION ALL {_RECALL} call = ? AND ? != ?"
_RECALL_ALL = ListStatement(f"{_RECALL} call IN {{}}")


class IdempotencyLog:
    """Runs changes, each once per idempotency key, and numbers generations. Any thread may call it.

    Args:
        connection: The writing connection; nothing else may use it.
        checkpoints: Another one, for checkpoints alone.
        fsops: The disk.
        health: State of the disk, shared by the engine.
        clock: Seconds since 1970-01-01 UTC.
        reserve: Room for deleting on a full disk.
    """

    def __init__(
        self,
        connection: WritingConnection,
        checkpoints: sqlite3.Connection,
        fsops: FsOps,
        health: Health,
        clock: Clock,
        reserve: Reserve,
    ) -> None:
        self._clock = clock
        self._generation = 0
        self._reserved = 0
        self._reserving = Lock()  # two uploads must not reserve the same generation
        self.commits = GroupCommit(connection, checkpoints, fsops, health, reserve, begin=self._begin, seal=self._seal)

    def now(self) -> int:
        """Return the time in microseconds."""
        return microseconds(self._clock)

    def next_generation(self, reserved: int = 0) -> int:
        """Return a generation greater than all before, also those committed before a restart.

        It is `reserved`, which `reserve` returned, if no greater one was committed since.
        """
        fresh = max(self.now(), self._generation + 1)
        self._generation = reserved if self._generation < reserved else fresh
        return self._generation

    def advance(self, generation: int) -> None:
        """Make every later generation greater than that of a restored object."""
        self._generation = max(self._generation, generation)

    def reserve(self, connection: sqlite3.Connection) -> int:
        """Return a generation greater than all that any process has committed by now.

        Args:
            connection: A connection for reading.
        """
        # its checksum is not verified here: a commit does that, and refuses to continue from a damaged row
        (committed,) = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
        with self._reserving:
            self._reserved = max(self.now(), int(committed) + 1, self._reserved + 1)
            return self._reserved

    def run(self, change: Change[T]) -> T:
        """Run `change`, and return its result once it is on the medium."""
        return self.commits.run(change)

    def once(
        self,
        call: bytes,
        asked: tuple[object, ...],
        change: Change[T],
        read: Callable[[Any], T] | None = None,
        *,
        formerly: bytes = b"",
    ) -> tuple[T, bool]:
        """Run `change` and return its result and True, or the recorded result of the same earlier call and False.

        Args:
            call: Identity of the call, from `rows.call_id`; empty: the result is not recorded.
            asked: Arguments of the call, from `fingerprint`.
            change: The change; its result must be serializable as JSON.
            read: Converts the parsed JSON back to the result; None: no conversion.
            formerly: Identity of the call in earlier versions, if different.

        Raises:
            IdempotencyKeyReusedError: The earlier call had other arguments.
        """
        return self.run(self.once_only(call, asked, change, read, formerly=formerly))

    def once_only(
        self,
        call: bytes,
        asked: tuple[object, ...],
        change: Change[T],
        read: Callable[[Any], T] | None = None,
        *,
        formerly: bytes = b"",
    ) -> Change[tuple[T, bool]]:
        """Return the change that `once` runs."""
        request = fingerprint(*asked) if call else b""

        def attempt(connection: sqlite3.Connection) -> tuple[T, bool]:
            found = self.recorded(connection, [call, formerly or call]) if call else {}
            earlier = found.get(call) or found.get(formerly)
            if earlier is not None:
                check_request(earlier[0], request)
                answer = json.loads(earlier[1])
                return (read(answer) if read else cast("T", answer)), False
            result = change(connection)
            if call:
                self.record(connection, call, request, result)
            return result, True

        return attempt

    def recorded(self, connection: sqlite3.Connection, calls: Sequence[bytes]) -> dict[bytes, tuple[bytes | None, str]]:
        """Return those of `calls` whose results are recorded: the fingerprint of the request, and the JSON.

        Raises:
            IntegrityError: A row of them is damaged.
        """
        oldest, first, last = self._oldest(), calls[0], calls[-1]
        rows = (
            connection.execute(_RECALL_PAIR, (oldest, first, oldest, last, first, last)).fetchall()
            if len(calls) <= _PAIR
            else _RECALL_ALL.rows(connection, (oldest,), calls)
        )
        found: dict[bytes, tuple[bytes | None, str]] = {}
        for is_intact, call, request, result in rows:
            if not is_intact:
                raise damaged_row("outcome")
            found[call] = request, result
        return found

    def record(self, connection: sqlite3.Connection, call: bytes, request: bytes | None, result: object) -> None:
        """Record the result of a call.

        Args:
            connection: The connection with the open transaction.
            call: Identity of the call.
            request: Fingerprint of its arguments; None: the result tells them itself.
            result: What `pack_json` takes.
        """
        connection.execute(
            "INSERT OR REPLACE INTO outcome (call, request, at_us, result) VALUES (?, ?, ?, ?)",
            (call, request, self.now(), pack_json(result)),
        )

    def forget(self, connection: sqlite3.Connection, limit: int) -> bool:
        """Remove up to `limit` expired results; return whether there may be more."""
        forgotten = connection.execute(
            "DELETE FROM outcome WHERE id IN (SELECT id FROM outcome ORDER BY id LIMIT ?) AND at_us <= ?",
            (limit, self._oldest()),
        ).rowcount
        return forgotten == limit

    def _begin(self, connection: sqlite3.Connection) -> None:
        retention.begin(connection)
        # another process may have numbered generations since
        # (a damaged row is refused when it is changed, at the latest)
        found = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
        self._generation = max(self._generation, int(found[0]))

    def _seal(self, connection: sqlite3.Connection) -> None:
        retention.seal(connection)
        # once for all changes of the transaction
        connection.execute(
            "UPDATE meta SET value = :last WHERE name = 'generation' AND value < :last", {"last": self._generation}
        )

    def _oldest(self) -> int:
        return self.now() - REMEMBERED_SECONDS * 1_000_000
