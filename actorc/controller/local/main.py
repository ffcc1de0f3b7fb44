"""The controller process: its event loop, its signals and its end."""

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

_SWITCH_SECONDS: Final = 0.0005
"""Seconds a thread may run before another gets its turn; Python's default of 5 ms delays every message by as much."""


def serve(
    options: ControllerOptions,
    *,
    on_address: Callable[[str], None],
    wait_until_unneeded: Callable[[], None] | None = None,
) -> None:
    """Run a controller until SIGINT or SIGTERM. For the main thread only.

    Args:
        options: The controller's options.
        on_address: Called with the address once it serves.
        wait_until_unneeded: Returns when nothing needs the controller any more; called on a thread of its own.

    Raises:
        ValueError: The port is taken or not allowed.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    if hasattr(signal, "SIGCHLD"):
        # the parent may ignore it, which is inherited: exit codes of workers would be lost, and their ids reused
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asyncio.run(_serve(options, on_address, wait_until_unneeded))


async def _serve(
    options: ControllerOptions, on_address: Callable[[str], None], wait_until_unneeded: Callable[[], None] | None
) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    server = ControllerServer(options)
    try:
        on_address(await server.start())
        if wait_until_unneeded is not None:
            # daemon: it may still wait when the controller ends for another reason
            threading.Thread(target=_stop_after, args=(wait_until_unneeded, loop, stopping), daemon=True).start()
        await stopping.wait()
    finally:
        # also after a failure to bind: workers must not outlive the controller
        await server.stop()


def _stop_after(
    wait_until_unneeded: Callable[[], None], loop: asyncio.AbstractEventLoop, stopping: asyncio.Event
) -> None:
    wait_until_unneeded()
    loop.call_soon_threadsafe(stopping.set)
