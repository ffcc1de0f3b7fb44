"""The public names of the actor platform: its context, and the function, executor and runtime classes.

Importing it loads neither gRPC nor protobuf; the first call does, so that scripts without calls start fast.
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
    """This process as a client of the actor platform. Thread-safe; `createContext` returns the one of the process.

    It connects at the first call, and again after the connection is lost.
    """

    def __init__(self, through: Connection) -> None:
        self._connection = through

    @staticmethod
    def createContext(  # noqa: N802  # the specification's name
        address: str | None = None, app_id: str | None = None, *, ignis_address: str | None = None
    ) -> ActorContext:
        """Return the context of this process.

        Nothing is connected yet. Later calls return the same context, unless they give another address or id; then the
        former context is closed.

        Args:
            address: ``host:port`` of the controller; else IGNIS_ADDR, else MASTER_ADDR if it has a port, else the
                controller that ``lucas-storage run`` starts, else ``localhost:50051``.
            app_id: The application id; else APP_ID, else a generated one. A controller that ``lucas-storage run``
                started serves its own id only, so that one is used there.
            ignis_address: Lucas's name for `address`.

        Raises:
            AddressError: The address, wherever it came from, is no ``host:port``.
        """
        through = connection.establish(address or ignis_address, app_id)
        # one context per connection, which Lucas's client must share; reentrant, because adopting imports Lucas's
        # client, whose import makes a context
        with _making.held():
            client_bridge.adopt(through)
            return _context_of(through)

    def close(self) -> None:
        """End the session; runs under way fail, and later calls need a new context."""
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


# A script that imports this module wants this client, also with a Lucas whose decorator ignores `wrapper` and creates
# a context of its own, which demands APP_ID.
lucas_types.when_own_client_is_imported(ActorContext.createContext)
