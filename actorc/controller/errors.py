"""Exceptions of the client of the controller.

::

    ControllerError                  adds function
    ├── AddressError                 also ValueError
    ├── ControllerUnavailableError   also ConnectionError; adds address, origin
    ├── ParameterError               also TypeError
    ├── UnknownFunctionError         also LookupError
    ├── PicklingError                also pickle.PickleError
    ├── MessageTooLargeError         adds size
    ├── ControllerTimeoutError       also TimeoutError; adds waited_for, seconds
    └── RemoteFunctionError          adds error_type, error_message, traceback

Lucas shows an error to its caller as the text up to the next colon, so every message begins with a complete clause
without one. Only names are shown, never values.
"""

from __future__ import annotations

import pickle
import re
from typing import Any


class ControllerError(Exception):
    """A call to the actor platform failed; the base of every error of this package.

    Attributes:
        message: The failure and what to do next.
        function: Name of the function concerned, if there is one.
    """

    def __init__(self, message: str, *, function: str | None = None) -> None:
        self.message = message
        self.function = function
        super().__init__(message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class AddressError(ControllerError, ValueError):
    """The address of a controller is no ``host:port``; the message names its origin."""


class ControllerUnavailableError(ControllerError, ConnectionError):
    """The controller was not reached, it refused the session, or the connection was lost while a call ran.

    Whether a lost call ran is unknown; it is not repeated. The next call opens a new connection.

    Attributes:
        address: ``host:port`` of the controller.
        origin: Where the address came from.
    """

    def __init__(self, message: str, *, address: str = "", origin: str = "", function: str | None = None) -> None:
        super().__init__(message, function=function)
        self.address = address
        self.origin = origin


class ParameterError(ControllerError, TypeError):
    """The arguments do not match the parameters, or the function cannot be called by name; nothing was sent."""


class UnknownFunctionError(ControllerError, LookupError):
    """A call names a function that is not registered for the actor platform; nothing was sent."""


class PicklingError(ControllerError, pickle.PickleError):
    """A function or an argument cannot be pickled, or a result cannot be unpickled; the message names it."""


class MessageTooLargeError(ControllerError):
    """A function or an argument is larger than a message may be; nothing was sent.

    Attributes:
        size: Its size in bytes.
    """

    def __init__(self, message: str, *, size: int = 0, function: str | None = None) -> None:
        super().__init__(message, function=function)
        self.size = size


class ControllerTimeoutError(ControllerError, TimeoutError):
    """The platform did not answer in time; whether the function still runs is unknown.

    Attributes:
        waited_for: ``definition``, ``call`` or ``value``.
        seconds: The time limit that passed.
    """

    def __init__(
        self, message: str, *, waited_for: str = "", seconds: float = 0.0, function: str | None = None
    ) -> None:
        super().__init__(message, function=function)
        self.waited_for = waited_for
        self.seconds = seconds


class RemoteFunctionError(ControllerError):
    """The function raised, could not be loaded by its worker, or its worker died.

    Attributes:
        error_type: Name of the exception class, or empty if the platform itself reports the failure.
        error_message: Its message.
        traceback: The worker's traceback as text, or empty if there is none.
    """

    raised_remotely = True
    """Its local traceback shows only the caller's part; see `lucas_storage._tracebacks`."""

    def __init__(
        self,
        message: str,
        *,
        function: str | None = None,
        error_type: str = "",
        error_message: str = "",
        traceback: str = "",
    ) -> None:
        super().__init__(message, function=function)
        self.error_type = error_type
        self.error_message = error_message
        self.traceback = traceback

    @classmethod
    def of(cls, function: str, wire: str) -> RemoteFunctionError:
        """Parse the controller's text: ``Type: message``, then an empty line and a traceback if there is one."""
        head, mark, frames = wire.partition(f"\n\n{_TRACEBACK}")
        kind, message = _split(head)
        problem = f"raised {kind} on its worker" if kind else "failed on the platform"
        traceback = f"{_TRACEBACK}{frames}" if mark else ""
        return cls(
            f"{function!r} {problem}" + (f", {message}" if message else "") + (f"\n\n{traceback}" if mark else ""),
            function=function,
            error_type=kind,
            error_message=message,
            traceback=traceback,
        )


_TRACEBACK = "Traceback (most recent call last):"


def _split(head: str) -> tuple[str, str]:
    match = re.match(r"([A-Za-z_][\w.]*)(?:: |:?$)", head)
    return (match[1], head[match.end() :]) if match else ("", head)


def _restore(cls: type[ControllerError], args: tuple[Any, ...], fields: dict[str, Any]) -> ControllerError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error
