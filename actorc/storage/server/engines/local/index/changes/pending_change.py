"""A change that waits for its transaction, and its outcome."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Generic, TypeVar

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.local.disk.errors import explain
from actorc.storage.server.engines.local.index.row_checksums import is_refusal, refused
from actorc.storage.server.engines.local.index.schema import WritingConnection

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]


class PendingChange(Generic[T]):
    """One change and its outcome."""

    __slots__ = ("_change", "_value", "done", "error")

    def __init__(self, change: Change[T]) -> None:
        self._change = change
        self._value: T | None = None
        self.error: BaseException | None = None
        self.done = False

    def attempt(self, connection: sqlite3.Connection) -> bool:
        """Run the change; return whether it succeeded. One that failed is to be undone."""
        self.error = None
        try:
            self._value = self._change(connection)
        except sqlite3.Error as error:
            if not is_refusal(error):
                raise
            self.error = refused(error)
        except Exception as error:  # noqa: BLE001 (raised again in the thread whose change it was)
            self.error = error
        return self.error is None

    def attempt_apart(self, connection: WritingConnection) -> None:
        """Run the change, and undo it alone if it fails."""
        # a savepoint for each, so that a failed change does not undo those of other callers
        connection.execute("SAVEPOINT job")
        kept = connection.kept_change
        if not self.attempt(connection):
            connection.execute("ROLLBACK TO job")
            connection.kept_change = kept
        connection.execute("RELEASE job")

    def outcome(self) -> T:
        """Return the result of the change, or raise its error."""
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]


def caller_error(error: BaseException) -> StorageError:
    """Return what a caller is told whose change was undone by an error of the transaction."""
    if isinstance(error, StorageError):
        # a new error for each caller: one that is raised in several threads would collect all their tracebacks
        return type(error)(error.message)
    raised = (
        explain(error)
        if isinstance(error, Exception)
        else StorageError("the change was interrupted; try again", retryable=True)
    )
    raised.__cause__ = error
    return raised
