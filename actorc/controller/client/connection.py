"""The connection of this process to its controller: made at the first call, and again after it was lost."""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from concurrent.futures import Future
from typing import TYPE_CHECKING, ClassVar, Final

from actorc.controller.errors import ControllerError, ControllerUnavailableError
from actorc.fork_hooks import ForkSafeLock, in_child

from .address import ControllerChoice, Destination

if TYPE_CHECKING:
    from .session.session import Session

# gRPC reads these when it is loaded. Without fork support, a fork copies the state of gRPC's threads in the middle of
# an operation, and the child sometimes aborts when it uses gRPC itself.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
# Forks and ended controllers are normal, so they are not logged to the terminal; gRPC's errors still are.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


class Connection:
    """Provides a session that is open. Thread-safe, and usable in a child after a fork.

    Args:
        choice: The address and the application id.
    """

    silence_seconds: ClassVar[float] = 2.0
    """Seconds that an application with a given id may take for its first answer."""

    def __init__(self, choice: ControllerChoice) -> None:
        self.choice = choice
        self._is_closed = False
        self._is_first = True
        self._reset()
        in_child(self, Connection._leave_to_parent)

    def _reset(self) -> None:
        # guards `_latest` and `_is_closed`; not held while a session is opened
        self._lock = threading.Lock()
        self._latest: Future[Session] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def session(self) -> Session:
        """Return the session, a new one if there is none or it has ended.

        Raises:
            ControllerUnavailableError: There is no controller, or it does not take the session.
            ControllerError: The connection was closed.
        """
        opening: Future[Session] | None = None
        with self._lock:
            if self._is_closed:
                raise ControllerError("this context was closed; make another with ActorContext.createContext()")
            if self._latest is None or _is_over(self._latest):
                # Threads that come while it is being opened wait for it and share its failure.
                self._latest = opening = Future()
            latest = self._latest
        # outside the lock, since connecting takes seconds, and `close` must not wait for it
        if opening is not None:
            self._open(opening)
        return latest.result()

    def close(self, *, at_exit: bool = False) -> None:
        """End the session and refuse later calls; calls under way fail, except `at_exit`, when no one can handle it."""
        with self._lock:
            self._is_closed = True
            latest, self._latest = self._latest, None
        if latest is not None and latest.done() and latest.exception() is None:
            session = latest.result()
            session.abandon() if at_exit else session.close()

    def _leave_to_parent(self) -> None:
        _inherited.append(self._latest)
        self._is_first = False
        self._reset()

    def _open(self, opening: Future[Session]) -> None:
        try:
            opening.set_result(self._opened())
        except BaseException as error:  # noqa: BLE001  # raised in every thread that waits, the caller first
            opening.set_exception(error)

    def _opened(self) -> Session:
        from .session.session import Session  # noqa: PLC0415  # loads gRPC, which nobody needs before the first call

        destination = self.choice.destination()
        is_first, self._is_first = self._is_first, False
        # A platform may hold an id for a while after its session has ended, so it is not used twice.
        app_id = destination.app_id if is_first else _fresh(destination)
        try:
            session = Session(destination, app_id, self.choice.timeouts)
        except ControllerUnavailableError:
            # a controller that this process started may have died; a new one replaces it
            again = self.choice.restarted(destination)
            if again is None:
                raise
            return Session(again, again.app_id, self.choice.timeouts)
        if is_first and not destination.has_generated_id and not session.is_heard(self.silence_seconds):
            # Ignis accepts an id again but leaves it with the actors of its former session, which no longer answer.
            session.close()
            return Session(destination, _fresh(destination), self.choice.timeouts)
        return session


def _fresh(destination: Destination) -> str:
    return f"{destination.app_id}.{uuid.uuid4().hex[:8]}"


def _is_over(latest: Future[Session]) -> bool:
    return latest.done() and (latest.exception() is not None or latest.result().is_over)


# guards `_current`, so that threads that begin at the same time get one connection
_choosing: Final = ForkSafeLock()
_current: Connection | None = None
_inherited: list[object] = []
"""Sessions of the parent process, kept alive for ever: closing one in the child would break the parent's connection."""


def establish(address: str | None = None, app_id: str | None = None) -> Connection:
    """Return the connection of this process; replaces it if an argument differs from what it was made with.

    Args:
        address: ``host:port``; None accepts any.
        app_id: The application id; None accepts any.

    Raises:
        AddressError: The address, wherever it came from, is no ``host:port``.
    """
    global _current  # noqa: PLW0603  # one connection per process, as the platform has one application
    with _choosing.held():
        before = _current
        if before is not None and not before.is_closed and before.choice.fits(address, app_id):
            return before
        _current = chosen = Connection(ControllerChoice(address, app_id))
    # outside the lock, since it waits for the threads of the session
    if before is not None:
        before.close()
    return chosen


def _close_at_exit() -> None:
    # The threads of gRPC's own code that serve an open stream must not outlive the interpreter.
    if _current is not None:
        _current.close(at_exit=True)


atexit.register(_close_at_exit)
