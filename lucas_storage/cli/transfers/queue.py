"""The transfer queue: runs transfers, several at once, and reports their results."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, ClassVar, Final, TypeAlias

import click

from actorc.storage.units import shown_size
from lucas_storage.cli.output.progress import Bars, OnProgress, wanted
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session

from .replaced import Replaced

_AHEAD: Final = 10_000
"""Transfers that may wait at the same time: enough for a useful total, and a bound on memory for millions of files."""
_TOLD: Final = 10
"""Replaced files that are told one by one."""


class TakenError(FileExistsError):
    """The destination exists and must not be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One file or object to copy."""

    action: str
    """``upload``, ``download`` or ``copy``."""
    source: str
    destination: str
    size: int | None = None
    """Bytes; None if unknown."""
    run: Callable[[OnProgress], Mapping[str, Any]]
    """Copies it; returns fields for the report."""
    is_needed: Callable[[], bool] = lambda: True
    """Returns whether the destination differs; called on the thread of the transfer, since it may read the file."""
    replaces: Callable[[], Replaced | None] = lambda: None
    """Returns what is at the destination, and is lost; called before `run`, and only if it is to be told."""
    problem: Exception | None = None
    """The reason why it cannot be copied."""
    skipped: str = ""
    """The reason why it is left out, which is no failure."""

    @property
    def record(self) -> dict[str, Any]:
        """The fields for programs."""
        return {"action": self.action, "source": self.source, "destination": self.destination, "size": self.size}


_Outcome: TypeAlias = tuple[str, Mapping[str, Any], Exception | None]
"""``done``, ``unchanged``, ``skipped``, ``planned`` or ``failed``; fields for the report; the failure."""


class TransferQueue:
    """Runs the transfers of one command. Results are reported on the thread of `run`.

    Args:
        session: Prints results; its connections are closed if the command is interrupted.
        many: Whether there may be several. If not, a failure is raised as it is, and everything runs on this thread.
        jobs: Number of transfers that run at once.
        quiet: Whether to report failures only.
        dry_run: Whether to report transfers without running them.
        asking: Whether to ask before anything is replaced.
        caution: What is told before the first of many transfers; empty for nothing.
        telling: Whether to tell what each of many replaces, because it costs little to look.
    """

    patience: ClassVar[float] = 3.0
    """Seconds in which interrupted transfers may remove their partial files; then the connections are closed."""

    def __init__(
        self,
        session: Session,
        *,
        many: bool,
        jobs: int,
        quiet: bool,
        dry_run: bool,
        asking: bool = False,
        caution: str = "",
        telling: bool = False,
    ) -> None:
        self._session = session
        self._many = many
        self._jobs = jobs
        self._quiet = quiet
        self._dry_run = dry_run
        self._asking = asking and not dry_run
        self._telling = telling
        self._caution = "" if quiet or asking or dry_run or session.as_json else caution
        # Not beside questions, which they would be drawn over.
        self._bars = Bars(shown=wanted(session, quiet=quiet) and not (dry_run or asking), total=many)
        self._stopping = threading.Event()
        self._bytes = 0
        self._left_out: list[str] = []
        self.summary = Summary(session, many=many)

    def run(self, transfers: Iterable[Transfer]) -> None:
        """Run all transfers; failures are reported and counted.

        Raises:
            Exception: The failure, if there is one transfer only.
        """
        with self._bars:
            self.summary.say = self._bars.say
            if self._caution:
                self.summary.say(f"lucas-storage: {self._caution}")
            agreed = self._told(self._agreed(transfers))
            if self._many:
                self._on_threads(agreed)
                return
            for transfer in agreed:
                self._take(transfer, self._outcome(transfer))

    def close(self) -> None:
        """End the command.

        Raises:
            Exit: A transfer failed.
        """
        self.summary.close()

    def tell(self, verb: str, since: float) -> None:
        """Print the summary of many transfers.

        Args:
            verb: Past participle, such as ``copied``.
            since: Start of the command by the monotonic clock, in seconds.
        """
        if self._left_out and not self._quiet:
            several = len(self._left_out) > 1
            what = f"{len(self._left_out)} folder markers were" if several else "1 folder marker was"
            such = "empty objects such as" if several else "the empty object"
            self.summary.say(f"lucas-storage: {what} left out, {such} {self._left_out[0]}; a directory needs none")
        if self._many and not self._quiet and not self._dry_run:
            moved = f"{shown_size(self._bytes)} in {time.monotonic() - since:.1f} s"
            self.summary.tell(f"{self.summary['done']} {verb}, {moved}")

    def _agreed(self, transfers: Iterable[Transfer]) -> Iterator[Transfer]:
        """Yield the transfers that replace nothing, or whose question is answered with yes, if there are questions."""
        # On this thread, and before the transfer waits for its turn: one question after the other.
        for transfer in transfers:
            if self._asking and (there := transfer.replaces()) is not None and not _confirmed(transfer, there):
                self._take(transfer, ("skipped", {}, None))
            else:
                yield transfer

    def _told(self, transfers: Iterable[Transfer]) -> Iterator[Transfer]:
        """Yield the transfers, each after it was told what it replaces, if that is to be told of each."""
        silent = self._asking or self._dry_run or self._quiet or self._session.as_json
        told = 0
        for transfer in transfers:
            look = not silent and (self._telling or not self._many) and told <= _TOLD and transfer.problem is None
            if look and (there := transfer.replaces()) is not None:
                told += 1
                what = f"{transfer.destination} is replaced ({there})" if told <= _TOLD else "more files are replaced"
                self.summary.say(printable(f"lucas-storage: {what}"))
            yield transfer

    def _on_threads(self, transfers: Iterable[Transfer]) -> None:
        ended: SimpleQueue[tuple[Transfer, _Outcome]] = SimpleQueue()
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="storage-copy")
        running = 0
        try:
            for transfer in transfers:
                self._bars.plan(transfer.size)
                pool.submit(self._work, transfer, ended)
                running += 1
                # Reported between plans, not by the workers: printing stays on one thread and in whole lines.
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
        """End running transfers: at their next progress, or by closing their connections."""
        # By the flag first, so that partial files are removed; but a transfer without progress does not look at it.
        self._stopping.set()
        deadline = threading.Timer(self.patience, self._session.close)
        deadline.start()
        pool.shutdown(cancel_futures=True)
        deadline.cancel()

    def _work(self, transfer: Transfer, ended: SimpleQueue[tuple[Transfer, _Outcome]]) -> None:
        ended.put((transfer, self._outcome(transfer)))

    def _outcome(self, transfer: Transfer) -> _Outcome:
        # Not raised while planning: the other transfers of the command continue.
        if transfer.problem is not None:
            return "failed", {}, transfer.problem
        if transfer.skipped:
            return "skipped", {"reason": transfer.skipped}, None
        return self._tried(transfer)

    def _tried(self, transfer: Transfer) -> _Outcome:
        try:
            with self._bars.transfer(transfer.source, transfer.size) as moved:
                if not transfer.is_needed():
                    return "unchanged", {}, None
                if self._dry_run:
                    there = transfer.replaces()
                    return "planned", {"dry_run": True, "replaces": there and there._asdict()}, None
                return "done", transfer.run(partial(self._moved, moved)), None
        except TakenError as error:
            # With --no-clobber an existing file is no failure if there are several: that is what the option asks for.
            return ("skipped" if self._many else "failed"), {}, error
        except Exception as error:  # noqa: BLE001  # reported on the thread of `run`; the other transfers continue
            return "failed", {}, error

    def _moved(self, moved: OnProgress, done: int, total: int | None) -> None:
        if self._stopping.is_set():
            raise _StoppedError
        moved(done, total)

    def _take(self, transfer: Transfer, outcome: _Outcome) -> None:
        kind, result, error = outcome
        if kind == "failed" and error is not None:
            self.summary.fail(transfer.source, error, transfer.record)
            return
        self.summary.count(kind)
        if kind == "unchanged":
            return
        record = {**transfer.record, **result, "result": kind}
        self._bytes += record["size"] or 0 if kind == "done" else 0
        if transfer.skipped:
            self._left_out.append(transfer.source)
        self._session.emit(record, _planned(transfer, record["replaces"]) if kind == "planned" else None)


def _planned(transfer: Transfer, there: Mapping[str, Any] | None) -> str:
    lost = f"  (replaces {Replaced(**there)})" if there else ""
    return printable(f"{transfer.action} {transfer.source} -> {transfer.destination}{lost}")


def _confirmed(transfer: Transfer, there: Replaced) -> bool:
    """Ask whether to replace a destination; no, where nobody can answer any more."""
    question = printable(f"replace {transfer.destination} ({there}) by {transfer.source}?")
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    # Not `click.confirm`, which takes the end of the input for Ctrl-C.
    try:
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    except OSError:  # it is closed
        return False


class _StoppedError(BaseException):
    """The command was interrupted; not an `Exception`, so that no handler takes it for a failed transfer."""
