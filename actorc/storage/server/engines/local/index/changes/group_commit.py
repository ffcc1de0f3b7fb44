"""Group commit: one transaction, and so one sync, for all changes that wait.

A sync costs the same for one change as for twenty. A thread that finds no commit running becomes the leader: it takes
every waiting change into one transaction and commits; changes that arrive in between form the next transaction. If one
fails behind its first write, all are undone and run again, each in a savepoint of its own. A single thread always leads
at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Any, ClassVar, TypeVar

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.local.disk.errors import is_full, may_pass
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.reserve import Reserve
from actorc.storage.server.engines.local.index.schema import WritingConnection

from .pending_change import Change, PendingChange, caller_error

T = TypeVar("T")


class GroupCommit:
    """The queue of changes, and the only way to change the index. Any thread may call `run`.

    Args:
        connection: The writing connection; nothing else may use it.
        checkpoints: Another connection to the same database, for checkpoints alone; closed by `close`.
        fsops: The disk.
        health: Checked before each change; lost when a commit leaves the state on disk unknown.
        reserve: Released when the disk is full, so that a change that makes room still succeeds.
        begin: The first change of every transaction.
        seal: The last change of every transaction.
    """

    checkpoint_rows: ClassVar[int] = 1000
    """Changed rows between checkpoints, those of the tally included; 1-4 MiB of log.

    Twice as many while another thread is to make them, and more only by the transaction that asks it to.
    """
    deferred_rows: ClassVar[int] = 10 * checkpoint_rows
    """Changed rows that are left to another thread at most: those of a batch that replaces a thousand objects."""

    def __init__(
        self,
        connection: WritingConnection,
        checkpoints: sqlite3.Connection,
        fsops: FsOps,
        health: Health,
        reserve: Reserve,
        *,
        begin: Change[None],
        seal: Change[None],
    ) -> None:
        self._connection = connection
        self._checkpoints = checkpoints
        self._fsops = fsops
        self._health = health
        self._reserve = reserve
        self._begin = begin
        self._seal = seal
        self._turn = Condition()  # guards the queue; the connections belong to the leader, which holds no lock
        self._waiting: list[PendingChange[Any]] = []
        self._busy = False
        self._closed = False
        self._checkpointed = connection.total_changes
        self._defer: Callable[[], None] | None = None
        # belongs to the leader, as the connections do
        self._is_due = False

    def defer_checkpoints(self, wake: Callable[[], None] | None) -> None:
        """Have another thread make checkpoints.

        Args:
            wake: Makes that thread call `checkpoint`, soon; None: from now on the caller whose change it was makes
                them.
        """
        self._defer = wake

    def checkpoint(self) -> None:
        """Write the log into the database, and let it begin anew; any thread may call it. Changes wait meanwhile."""
        with self._turn:
            while self._busy:
                self._turn.wait()
            self._busy = True
        try:
            if self._health.good:
                self._checkpoint()
        finally:
            self._finish((), idle=True)

    def run(self, change: Change[T]) -> T:
        """Run `change`, and return its result once it is on the medium.

        `change` runs inside a transaction, perhaps in another thread, with others before and behind it. If it raises,
        it is rolled back and the error is raised here.

        Raises:
            ResourceExhaustedError: The disk is full; nothing was changed.
            ReadOnlyError: An earlier write failed and left the state on disk unknown.
            StorageError: The engine is closed, or the disk failed.
        """
        job = PendingChange(change)
        batch: Sequence[PendingChange[Any]] = ()
        with self._turn:
            self._check()
            self._waiting.append(job)
            while self._busy and not job.done:
                self._turn.wait()
            if not job.done:
                batch, self._waiting, self._busy = self._waiting, [], True
        # outside the lock, so that the next changes can queue while this batch is written
        if batch:
            self._commit_batch(batch)
        return job.outcome()

    def stop(self) -> None:
        """Finish waiting changes, and accept no others."""
        with self._turn:
            self._closed = True
            while self._busy or self._waiting:
                self._turn.wait()

    def carry_over(self) -> None:
        """While nothing is changed, write the log into the database file."""
        if self._health.good:
            # unlike the others it keeps the write lock of SQLite itself
            with self._unless_broken():
                self._fsops.checkpoint(self._connection, "TRUNCATE")

    def close(self) -> None:
        """Close the connections."""
        self._checkpoints.close()
        self._connection.close()
        self._reserve.close()

    def _check(self) -> None:
        if self._closed:
            raise StorageError("the storage engine is closed; open it anew")
        self._health.check()

    def _commit_batch(self, batch: Sequence[PendingChange[Any]]) -> None:
        try:
            error = self._transact(batch)
            if error is not None and is_full(error) and self._health.good and self._reserve.release():
                # checkpoint first: the emptied log is overwritten, and so the retry needs no new room
                self._checkpoint()
                error = self._transact(batch)
            if error is None:
                self._reserve.restore()
            # waiting callers are answered before a checkpoint, which none of them needs
            self._finish(batch)
            self._limit_log()
        finally:
            # also after an error: while a leader is marked busy, no other thread may lead
            self._finish(batch, idle=True)

    def _finish(self, batch: Sequence[PendingChange[Any]], *, idle: bool = False) -> None:
        with self._turn:
            for job in batch:
                job.done = True
            self._busy = not idle
            self._turn.notify_all()

    def _transact(self, batch: Sequence[PendingChange[Any]]) -> Exception | None:
        """Commit the changes and return None, or roll back, give each the error, and return it."""
        try:
            self._health.check()
            # takes the write lock at once: a transaction that begins by reading may fail at its first write
            self._connection.execute("BEGIN IMMEDIATE")
            self._begin(self._connection)
            if not self._attempt(batch):
                self._connection.execute("ROLLBACK")
                return None
            self._seal(self._connection)
            self._fsops.commit(self._connection)
        except BaseException as error:
            # Ctrl-C may arrive after the commit; then the changes are on the medium, and their callers get their
            # results
            committed = not (isinstance(error, Exception) or self._connection.in_transaction)
            if not committed:
                self._abandon(batch, error)
            if not isinstance(error, Exception):
                raise
            return error
        return None

    def _attempt(self, batch: Sequence[PendingChange[Any]]) -> bool:
        """Run the changes in the open transaction; return whether there is anything to commit."""
        if len(batch) == 1:
            # it needs no savepoint: if it fails, all of the transaction is undone, and nothing is synced
            return batch[0].attempt(self._connection)
        # no savepoint: SQLite copies each page that is changed behind one, into a file of its own from 64 KiB on
        for job in batch:
            before = self._connection.total_changes
            # one that fails before it writes, as most refusals do, leaves nothing to undo
            if not job.attempt(self._connection) and self._connection.total_changes != before:
                self._attempt_apart(batch)
                break
        return True

    def _attempt_apart(self, batch: Sequence[PendingChange[Any]]) -> None:
        """Undo all changes of the batch, and run each in a savepoint of its own, so that none undoes another."""
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")
        # what is counted in memory begins anew as well
        self._begin(self._connection)
        for job in batch:
            job.attempt_apart(self._connection)

    def _abandon(self, batch: Sequence[PendingChange[Any]], error: BaseException) -> None:
        # nobody knows which pages are written, so later commits could acknowledge what is lost
        if isinstance(error, (sqlite3.Error, OSError)) and not may_pass(error):
            self._health.lose(error)
        for job in batch:
            job.error = caller_error(error)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            # a transaction that cannot be rolled back leaves the connection in an unknown state
            self._health.lose(second)
        if isinstance(error, Exception) and is_full(error) and self._health.good:
            # on a full disk the emptied log has room for a delete, which makes room for more
            self._checkpoint()

    def _limit_log(self) -> None:
        grown = self._connection.total_changes - self._checkpointed
        if grown <= self.checkpoint_rows:
            return
        # a batch of a thousand is more than twice as many at once, and its caller would wait for all of them
        most = 2 * self.checkpoint_rows if self._is_due else self.deferred_rows
        if self._defer is not None and grown <= most:
            self._is_due = True
            self._defer()
        else:
            self._checkpoint()

    def _checkpoint(self) -> None:
        with self._unless_broken():
            # before: what is changed meanwhile is in the next one at the latest
            changes = self._connection.total_changes
            with self._no_writer():
                # it waits for no reader, as a backup
                self._fsops.checkpoint(self._checkpoints, "PASSIVE")
            self._checkpointed, self._is_due = changes, False

    @contextmanager
    def _no_writer(self) -> Iterator[None]:
        """Let no process change the index within the block.

        A log begins anew only if all of it is in the database, so nothing may be added meanwhile. And if a change let
        it begin anew just as the checkpoint of another process starts, SQLite before 3.51.3 would take what the new log
        has for a part of the database: https://www.sqlite.org/wal.html#walresetbug.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _unless_broken(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            # a later checkpoint tries again unless the disk is broken; no committed change depends on it
            if not may_pass(error):
                self._health.lose(error)
