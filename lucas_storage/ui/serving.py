"""The server of the pages, on the loopback interface alone, until the program is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Final

from aiohttp import web

from actorc.storage.errors import InvalidParameterError

from .application import Application
from .connection import Connection, Opener
from .gate import Gate

log = logging.getLogger(__name__)
# Requests that are none are no business of the user's terminal; --debug shows them.
log.addHandler(logging.NullHandler())

_GRACE: Final = 1.0
"""Seconds for answers under way when the program ends."""


def serve(opener: Opener, port: int, language: str | None, announce: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM.

    Args:
        opener: Opens the store; called at once, so that a store which cannot be opened is an error before a page is.
        port: The port; 0 takes a free one.
        language: The language of the pages; None is that of each browser.
        announce: Called once with the address, when the pages are served.

    Raises:
        InvalidParameterError: The port is taken, or may not be used.
        StorageError: The store cannot be opened.
    """
    with closing(bound(port)) as listening, closing(Connection(opener)) as connection:
        gate = Gate(listening.getsockname()[1])
        endpoint = connection.run(lambda opened: opened.storage.endpoint)
        with closing(Application(connection, gate, language, endpoint)) as application:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/{gate.token}/"
            asyncio.run(_served(application, listening, lambda: announce(address)))


@asynccontextmanager
async def answering(application: Application, listening: socket.socket) -> AsyncIterator[None]:
    """Answer requests on a bound socket until the end of the body, which waits a second for those under way.

    Args:
        application: Answers them.
        listening: The socket; it is closed at the end.
    """
    runner = web.ServerRunner(
        web.Server(application.answer, logger=log, access_log=None), handle_signals=False, shutdown_timeout=_GRACE
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


async def _served(application: Application, listening: socket.socket, announce: Callable[[], None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with answering(application, listening):
        announce()
        await stopped.wait()


def bound(port: int) -> socket.socket:
    """Return a socket of the loopback interface.

    Args:
        port: The port; 0 takes a free one.

    Raises:
        InvalidParameterError: The port is taken, or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise InvalidParameterError(
            f"the pages cannot be served on port {port} ({error.strerror}); choose another --port, or 0 for a free one"
        ) from error
    return listening
