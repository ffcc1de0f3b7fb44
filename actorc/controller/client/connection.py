"""The connection of this process to its controller: made at the first call, and again whenever it was lost."""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from actorc.controller.errors import ControllerError, ControllerUnavailableError
from actorc.fork_hooks import ForkSafeLock, in_child

from .address import Choice, Destination

if TYPE_CHECKING:
    from .session import Session

# gRPC reads these when it is loaded. Without fork support, its thread on the stream is in the middle of something at a
# fork, and the child, which inherits that, sometimes aborts when it uses gRPC itself.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
# Forks, and controllers that end, are no news for the user's terminal; gRPC's errors are still shown.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_SILENCE_SECONDS: Final = 2.0
"""How long an application of a given id may take to say its first word."""


class Connection:
    """Hands out a session that works. Safe to use from many threads, and in a child after a fork.

    Args:
        choice: Where to connect, and as whom.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self._is_closed = False
        self._is_first = True
        self._forget()
        in_child(self, Connection._leave_to_parent)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._latest: Future[Session] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed by `close`."""
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
                # Whoever comes while it is being opened waits for it, and shares its failure.
                self._latest = opening = Future()
            latest = self._latest
        if opening is not None:
            self._open(opening)
        return latest.result()

    def close(self, *, at_exit: bool = False) -> None:
        """End the session; calls under way fail, unless nobody is left `at_exit`, and later ones are refused."""
        with self._lock:
            self._is_closed = True
            latest, self._latest = self._latest, None
        if latest is not None and latest.done() and latest.exception() is None:
            session = latest.result()
            session.abandon() if at_exit else session.close()

    def _leave_to_parent(self) -> None:
        _inherited.append(self._latest)
        self._is_first = False
        self._forget()

    def _open(self, opening: Future[Session]) -> None:
        try:
            opening.set_result(self._opened())
        except BaseException as error:  # noqa: BLE001  # raised by whoever waits for it, the caller first
            opening.set_exception(error)

    def _opened(self) -> Session:
        from .session import Session  # noqa: PLC0415  # loads gRPC, which nobody needs before the first call

        destination = self.choice.destination()
        is_first, self._is_first = self._is_first, False
        # A platform may hold an id for a while after its session has ended, so it is not used twice.
        app_id = destination.app_id if is_first else _fresh(destination)
        try:
            session = Session(destination, app_id, self.choice.timeouts)
        except ControllerUnavailableError:
            again = self.choice.restarted(destination)
            if again is None:
                raise
            return Session(again, again.app_id, self.choice.timeouts)
        if is_first and not destination.has_generated_id and not session.is_heard(_SILENCE_SECONDS):
            # Ignis takes an id again and leaves it with what served the session before, which answers nobody any more.
            session.close()
            return Session(destination, _fresh(destination), self.choice.timeouts)
        return session


def _fresh(destination: Destination) -> str:
    return f"{destination.app_id}.{uuid.uuid4().hex[:8]}"


def _is_over(latest: Future[Session]) -> bool:
    return latest.done() and (latest.exception() is not None or latest.result().is_over)


_choosing: Final = ForkSafeLock()
_current: Connection | None = None
_inherited: list[object] = []
"""Sessions of a parent process, kept for ever: closing one in the child would disturb the parent's connection."""


def establish(address: str | None = None, app_id: str | None = None) -> Connection:
    """Return the connection of this process, another one than before if an argument asks for it.

    Args:
        address: ``host:port``; None has no wish.
        app_id: The application id; None has no wish.

    Raises:
        AddressError: The address, wherever it came from, is no ``host:port``.
    """
    global _current  # noqa: PLW0603  # one connection per process, as the platform has one application
    with _choosing.held():
        before = _current
        if before is not None and not before.is_closed and before.choice.fits(address, app_id):
            return before
        _current = chosen = Connection(Choice(address, app_id))
    if before is not None:
        before.close()
    return chosen


def _close_at_exit() -> None:
    # An open stream has threads in gRPC's own code, which must not outlive the interpreter.
    if _current is not None:
        _current.close(at_exit=True)


atexit.register(_close_at_exit)
