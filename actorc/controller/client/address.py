"""The controller's address and the application id: argument, then environment, then a starter, then the default.

With `timeouts`, the only module of the client that reads the environment.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from actorc import addresses
from actorc.controller.errors import AddressError
from actorc.fork_hooks import ForkSafeLock

from .timeouts import Timeouts

DEFAULT_ADDRESS: Final = "localhost:50051"

_GENERATED: Final = "a generated id"
_STARTED: Final = "the controller that was started for this process"

Start: TypeAlias = Callable[[], tuple[str, str]]
"""Starts a controller and returns its ``host:port`` and the application id it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A controller, and the application id to register there."""

    address: str
    """``host:port``."""
    origin: str
    """Where `address` came from, for error messages."""
    app_id: str
    """To some controllers it is a secret, so it is never shown."""
    app_id_origin: str
    """Where `app_id` came from, for error messages."""

    @property
    def is_started(self) -> bool:
        """Whether it was started for this process; and serves only `app_id`, also followed by a dot and more."""
        return self.origin == _STARTED

    @property
    def has_generated_id(self) -> bool:
        """Whether `app_id` was generated here, so no other process can have used it."""
        return self.app_id_origin == _GENERATED

    @property
    def shown(self) -> str:
        """The address and where it came from, as error messages show it."""
        return f"{self.address} (from {self.origin})"


class ControllerChoice:
    """The address and the id a user chose, checked at once; missing ones are resolved when a controller is needed.

    Args:
        address: ``host:port``, or None for the environment's.
        app_id: The application id, or None for the environment's.

    Raises:
        AddressError: The address, wherever it came from, is no ``host:port``.
        ControllerError: A timeout in the environment is no number of seconds.

    Attributes:
        timeouts: How long to wait for each kind of answer.
    """

    def __init__(self, address: str | None = None, app_id: str | None = None) -> None:
        self.timeouts = Timeouts.from_environment()
        self._given = (address, app_id)
        self._address = _chosen_address(address)
        self._app_id = _chosen_app_id(app_id)

    def destination(self) -> Destination:
        """Return where to connect; starts a controller if the user chose no address and a starter is set.

        Raises:
            Exception: The starter failed; its exception is passed on.
        """
        if self._address is not None:
            return _destination(self._address, self._app_id)
        started = _started()
        if started is None:
            return _destination((DEFAULT_ADDRESS, "the built-in default"), self._app_id)
        address, app_id = started
        # It was started for this process alone, and serves no other id than its own.
        return _destination((address, _STARTED), (app_id, _STARTED))

    def restarted(self, destination: Destination) -> Destination | None:
        """Return a new destination if the controller at `destination` was started here and is gone; else None."""
        if destination.origin != _STARTED:
            return None
        _forget_started(destination.address)
        return self.destination()

    def fits(self, address: str | None, app_id: str | None) -> bool:
        """Return whether this choice satisfies a caller who asks for `address` and `app_id`; None asks for nothing."""
        return address in (None, self._given[0]) and app_id in (None, self._given[1])


def start_when_needed(start: Start | None) -> None:
    """Set the function that starts a controller when this process first needs one without an address; None removes it.

    An address that is passed to ``createContext`` or set in the environment takes precedence. `start` is called again
    only when the controller that it started is gone.
    """
    global _start, _running
    with _starting.held():
        _start, _running = start, None


# held while the starter runs, so that concurrent first calls start one controller and not one each
_starting: Final = ForkSafeLock()
_start: Start | None = None
_running: tuple[str, str] | None = None


def _started() -> tuple[str, str] | None:
    global _running  # noqa: PLW0603  # what is started once belongs to the process
    with _starting.held():
        if _running is None and _start is not None:
            _running = _start()
        return _running


def _forget_started(address: str) -> None:
    global _running  # noqa: PLW0603  # what is started once belongs to the process
    with _starting.held():
        if _running is not None and _running[0] == address:
            _running = None


def _destination(address: tuple[str, str], app_id: tuple[str, str]) -> Destination:
    return Destination(address=address[0], origin=address[1], app_id=app_id[0], app_id_origin=app_id[1])


def _chosen_address(argument: str | None) -> tuple[str, str] | None:
    if argument is not None:
        return _checked(argument, "the address argument"), "the address argument"
    # What was started here may be named there for others; it is still no choice, and started again if it is gone.
    started = _running and _running[0]
    if (given := os.environ.get("IGNIS_ADDR")) and given != started:
        return _checked(given, "IGNIS_ADDR"), "IGNIS_ADDR"
    given = os.environ.get("MASTER_ADDR", "")
    # Other frameworks put a host without a port there, which says nothing about a controller.
    return (given, "MASTER_ADDR") if given != started and is_address(given) else None


def _chosen_app_id(argument: str | None) -> tuple[str, str]:
    if argument:
        return argument, "the app_id argument"
    if given := os.environ.get("APP_ID"):
        return given, "APP_ID"
    return f"app-{uuid.uuid4()}", _GENERATED


def _checked(address: str, origin: str) -> str:
    if not is_address(address):
        raise AddressError(
            f"{address!r} (from {origin}) is not the address of a controller; "
            f"give 'host:port' such as {DEFAULT_ADDRESS!r}"
        )
    return address


def is_address(text: object) -> bool:
    """Return whether `text` is a ``host:port``."""
    try:
        addresses.parse(text)
    except ValueError:
        return False
    return True
