"""A controller as a process: what it is told, and its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from .options import ControllerOptions
from .server import ControllerServer

log = logging.getLogger(__name__)

_SWITCH: Final = 0.0005
"""Seconds after which one of our threads lets another one run; Python's 5 ms are an age between two messages."""


def serve(
    options: ControllerOptions, *, on_address: Callable[[str], None], needed: Callable[[], None] | None = None
) -> None:
    """Run a controller until SIGINT or SIGTERM; on the main thread.

    Args:
        options: How it runs.
        on_address: Called with the address once it serves.
        needed: Returns when nobody needs the controller any more; called on a thread.

    Raises:
        ValueError: The port is taken or not allowed.
    """
    sys.setswitchinterval(_SWITCH)
    if hasattr(signal, "SIGCHLD"):
        # who started us may ignore it, and has that inherited: how workers end would be unknown, their ids reused
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asyncio.run(_serve(options, on_address, needed))


async def _serve(
    options: ControllerOptions, on_address: Callable[[str], None], needed: Callable[[], None] | None
) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    server = ControllerServer(options)
    try:
        on_address(await server.start())
        if needed is not None:
            threading.Thread(target=_stop_after, args=(needed, loop, stopping), daemon=True).start()
        await stopping.wait()
    finally:
        await server.stop()


def _stop_after(needed: Callable[[], None], loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    needed()
    loop.call_soon_threadsafe(stopping.set)
