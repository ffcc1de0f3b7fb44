"""What workflows on the actor platform import: the context, and the function, executor and runtime classes.

Importing this module loads neither gRPC nor protobuf; the first call does.
"""

from __future__ import annotations

import threading
from typing import Final, NoReturn

from actorc.fork_hooks import ForkSafeLock

from . import calls, definition, signature  # noqa: F401  # named in pickles, and by value if not loaded here
from .classes import ActorRuntimeClass, ActorRuntimeInstance
from .client import connection, lucas_types
from .client.connection import Connection
from .executor import ActorExecutor
from .functions import ActorFunction
from .lucas import client_bridge
from .runtime import ActorRuntime

__all__ = [
    "ActorContext",
    "ActorExecutor",
    "ActorFunction",
    "ActorRuntime",
    "ActorRuntimeClass",
    "ActorRuntimeInstance",
]


class ActorContext:
    """This process as a client of the actor platform; `createContext` makes the one there is.

    It connects at the first call, and again after the connection was lost.
    """

    def __init__(self, through: Connection) -> None:
        self._connection = through

    @staticmethod
    def createContext(  # noqa: N802  # the specification's name
        address: str | None = None, app_id: str | None = None, *, ignis_address: str | None = None
    ) -> ActorContext:
        """Return the context of this process.

        Nothing is connected yet. Later calls return the same context, unless they ask for another address or id; then
        the one before is closed.

        Args:
            address: ``host:port`` of the controller; else IGNIS_ADDR, else MASTER_ADDR if it has a port, else the
                controller that ``lucas-storage run`` starts, else ``localhost:50051``.
            app_id: The application id; else APP_ID, else a generated one. A controller that ``lucas-storage run``
                started knows its own only, so that one is taken there.
            ignis_address: What upstream calls `address`.

        Raises:
            AddressError: The address, wherever it came from, is no ``host:port``.
        """
        through = connection.establish(address or ignis_address, app_id)
        with _making.held():
            client_bridge.adopt(through)
            return _context_of(through)

    def close(self) -> None:
        """End the session; runs that are under way fail, and whatever comes later makes a new context."""
        self._connection.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an ActorContext belongs to one process; make one where it is needed with createContext()")


_making: Final = ForkSafeLock(threading.RLock)
_latest: tuple[Connection, ActorContext] | None = None


def _context_of(through: Connection) -> ActorContext:
    global _latest  # noqa: PLW0603  # one context per process, as it has one connection
    if _latest is None or _latest[0] is not through:
        _latest = (through, ActorContext(through))
    return _latest[1]


# Who imports this module means this client, also with the Lucas whose decorator looks at no `wrapper` and makes a
# context of its own, for which it demands APP_ID.
lucas_types.when_own_client_is_imported(ActorContext.createContext)
