"""Runs transfers, several at once, and tells what became of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from actorc.storage.units import shown_size
from lucas_storage.cli.output.progress import Bars, Moved, wanted
from lucas_storage.cli.output.summary import Tally
from lucas_storage.cli.session import Session, printable

_AHEAD: Final = 10_000
"""Transfers that are planned before one of them must end; the total grows until all are."""
_PATIENCE: Final = 3.0
"""Seconds that interrupted transfers have to clean up behind themselves; then the connections are closed."""


class TakenError(FileExistsError):
    """What is there must not be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Something to be copied."""

    action: str
    """``upload``, ``download`` or ``copy``."""
    source: str
    destination: str
    size: int | None = None
    """Bytes; None if unknown."""
    run: Callable[[Moved], Mapping[str, Any]]
    """Does it; returns what is to be told of it."""
    is_needed: Callable[[], bool] = lambda: True
    """Returns whether it is not there already."""
    problem: Exception | None = None
    """Why it cannot be done."""

    @property
    def record(self) -> dict[str, Any]:
        """What a program is told."""
        return {"action": self.action, "source": self.source, "destination": self.destination, "size": self.size}


_Outcome: TypeAlias = tuple[str, Mapping[str, Any], Exception | None]
"""``done``, ``unchanged``, ``skipped``, ``planned`` or ``failed``; what is to be told; the failure."""


class Batch:
    """Runs the transfers of one command.

    Args:
        session: Prints results; its connections are closed if the command is interrupted.
        many: Whether there may be several. If not, a failure is raised as it is, and all happens on this thread.
        jobs: How many run at once.
        quiet: Whether only failures are told.
        dry_run: Whether to tell what would be done, and do nothing.
    """

    def __init__(self, session: Session, *, many: bool, jobs: int, quiet: bool, dry_run: bool) -> None:
        self._session = session
        self._many = many
        self._jobs = jobs
        self._quiet = quiet
        self._dry_run = dry_run
        self._bars = Bars(shown=wanted(session, quiet=quiet) and not dry_run, total=many)
        self._stopping = threading.Event()
        self._bytes = 0
        self.tally = Tally(session, many=many)

    def run(self, transfers: Iterable[Transfer]) -> None:
        """Do everything; the failures are counted.

        Raises:
            Exception: The failure, if there are not to be several.
        """
        with self._bars:
            self.tally.say = self._bars.say
            if self._many:
                self._on_threads(transfers)
                return
            for transfer in transfers:
                self._take(transfer, self._outcome(transfer))

    def close(self) -> None:
        """Tell what was done, and end the command.

        Raises:
            Exit: Something failed.
        """
        self.tally.close()

    def tell(self, verb: str, since: float) -> None:
        """Print the summary of many transfers.

        Args:
            verb: What was done, such as ``copied``.
            since: When it began, by the monotonic clock.
        """
        if self._many and not self._quiet and not self._dry_run:
            moved = f"{shown_size(self._bytes)} in {time.monotonic() - since:.1f} s"
            self.tally.tell(f"{self.tally['done']} {verb}, {moved}")

    def _on_threads(self, transfers: Iterable[Transfer]) -> None:
        ended: SimpleQueue[tuple[Transfer, _Outcome]] = SimpleQueue()
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="storage-copy")
        running = 0
        try:
            for transfer in transfers:
                self._bars.plan(transfer.size)
                pool.submit(self._work, transfer, ended)
                running += 1
                while running > _AHEAD or not ended.empty():
                    self._take(*ended.get())
                    running -= 1
            for _ in range(running):
                self._take(*ended.get())
        except BaseException:
            self._stop(pool)
            raise
        pool.shutdown()

    def _stop(self, pool: ThreadPoolExecutor) -> None:
        """End what runs: at its next sign of progress, or when its connection is closed under it."""
        self._stopping.set()
        deadline = threading.Timer(_PATIENCE, self._session.close)
        deadline.start()
        pool.shutdown(cancel_futures=True)
        deadline.cancel()

    def _work(self, transfer: Transfer, ended: SimpleQueue[tuple[Transfer, _Outcome]]) -> None:
        ended.put((transfer, self._outcome(transfer)))

    def _outcome(self, transfer: Transfer) -> _Outcome:
        if transfer.problem is not None:
            return "failed", {}, transfer.problem
        try:
            with self._bars.transfer(transfer.source, transfer.size) as moved:
                if not transfer.is_needed():
                    return "unchanged", {}, None
                if self._dry_run:
                    return "planned", {"dry_run": True}, None
                return "done", transfer.run(partial(self._moved, moved)), None
        except TakenError as error:
            return ("skipped" if self._many else "failed"), {}, error
        except Exception as error:  # noqa: BLE001  # told where all of them are
            return "failed", {}, error

    def _moved(self, moved: Moved, done: int, total: int | None) -> None:
        if self._stopping.is_set():
            raise _StoppedError
        moved(done, total)

    def _take(self, transfer: Transfer, outcome: _Outcome) -> None:
        kind, result, error = outcome
        if kind == "failed" and error is not None:
            self.tally.fail(transfer.source, error, transfer.record)
            return
        self.tally.count(kind)
        if kind == "unchanged":
            return
        record = {**transfer.record, **result, "result": kind}
        self._bytes += record["size"] or 0 if kind == "done" else 0
        planned = printable(f"{transfer.action} {transfer.source} -> {transfer.destination}")
        self._session.emit(record, planned if kind == "planned" else None)


class _StoppedError(BaseException):
    """The command was interrupted; not an `Exception`, so that nobody takes it for a failure of the transfer."""
