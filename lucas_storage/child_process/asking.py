"""Questions of a child process to its parent, such as calls of other functions through the engine."""

from __future__ import annotations

import threading
from typing import Any

from .channel import Channel, Kind
from .raised import Raised

_channel: Channel | None = None
_asking = threading.Lock()
"""Guards the channel from a question to its answer, which has no other way to be told from another one."""


def over(channel: Channel) -> None:
    """Ask over this channel from now on."""
    global _channel  # noqa: PLW0603
    _channel = channel


def ask(what: str, *arguments: Any) -> Any:
    """Return the answer of the parent; any thread may ask.

    Raises:
        BaseException: Whatever the answer raised there.
    """
    assert _channel is not None, "only a child process asks"
    with _asking:
        _channel.send((Kind.ASK, (what, arguments)))
        answer = _channel.receive()
    if isinstance(answer, Raised):
        raise answer.error(what)
    return answer
