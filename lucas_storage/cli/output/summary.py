"""The summary of several operations of one command: a line for each failure, the others continue, one exit code."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote

import click

from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session

from .exit_codes import FAILED, exit_code
from .failures import described, failure, line, place_of, reason

log = logging.getLogger(__name__)

_KINDS: Final = ("unchanged", "skipped", "removed", "failed")


class Summary:
    """Counts successes, and reports each failure as it happens. For one thread.

    Args:
        session: Prints results.
        many: Whether the command has several operations. If not, a failure is raised as it is.
    """

    def __init__(self, session: Session, *, many: bool) -> None:
        self._session = session
        self._many = many
        self._counts: Counter[str] = Counter()
        self._first: Exception | None = None
        self.say: Callable[[str], None] = _say
        """Prints a line on standard error."""

    @property
    def failed(self) -> int:
        """Number of failures."""
        return self._counts["failed"]

    def count(self, kind: str) -> None:
        """Record a success."""
        self._counts[kind] += 1

    def fail(self, what: str, error: Exception, record: Mapping[str, Any]) -> None:
        """Report a failure.

        Args:
            what: Name of the object or file.
            error: The reason.
            record: Fields for programs, beside those of the error.

        Raises:
            Exception: `error`, if the command has one operation only.
        """
        described(error, record)
        if not self._many:
            raise error
        # At once, not at the end: a program may act on it while the rest runs, and a kill loses no failure.
        self._session.emit(failure(error), None)
        self._first = self._first or error
        self.count("failed")
        log.debug("%s failed", what, exc_info=error)
        # The place of the error is mostly what the line begins with, but not for the destination of a copy.
        place = place_of(error)
        text = reason(error) if place and unquote(what).rstrip("/").endswith(place.rstrip("/")) else line(error)
        shown = text if text.startswith(f"{what}: ") else f"{what}: {text}"
        self.say(f"lucas-storage: {printable(shown)}")

    @contextmanager
    def trying(self, what: str, record: Mapping[str, Any]) -> Iterator[None]:
        """Report an exception of the block as a failure."""
        try:
            yield
        except (click.ClickException, BrokenPipeError):
            # An error of the command line, or of standard output, ends the command: the next operation would fail
            # likewise.
            raise
        except Exception as error:  # noqa: BLE001  # reported, and the exit code at the end; the others continue
            self.fail(what, error, record)

    def tell(self, line: str, done: str = "done") -> None:
        """Print a summary; not for programs.

        Args:
            line: The text.
            done: The kind that `line` is about; the counts of the others follow it.
        """
        others = [kind for kind in _KINDS if kind != done and self._counts[kind]]
        if not self._session.as_json:
            self.say(line + "".join(f", {self._counts[kind]} {kind}" for kind in others))

    def close(self) -> None:
        """End the command.

        Raises:
            Exit: Something failed; with the code of the error, if there was one operation only.
        """
        if self._first is not None:
            # One object named by a pattern fails with the exit code of its error, as if it had been named itself.
            alone = sum(self._counts.values()) == 1
            raise click.exceptions.Exit(exit_code(self._first) if alone else FAILED)

    def __getitem__(self, kind: str) -> int:
        return self._counts[kind]


def _say(text: str) -> None:
    click.echo(text, err=True)
