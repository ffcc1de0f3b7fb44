"""Registration of functions and objects with the platform, each generation of replicas under a name of its own.

It sends through a function it is given. Not thread-safe: the session calls it with its lock held.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import ObjectDefinition
from actorc.controller.client.platform_names import wire_name

from . import messages
from .replicas import Generation


class Registration:
    """Registers functions and objects in one session.

    Args:
        send: Sends a message.
        call_timeout: Seconds that a call may take if its definition gives none; None if the user set none.
    """

    def __init__(self, send: Callable[..., None], call_timeout: float | None) -> None:
        self._send = send
        self._call_timeout = call_timeout
        self._tag = secrets.token_hex(3)
        self._numbers = itertools.count(1)

    def register(self, definition: Definition, pickled: bytes, generation: Generation, *, keep_name: bool) -> None:
        """Request the replicas of a generation and name it.

        With `keep_name` a function has its own name, for a controller that keeps applications apart.
        """
        timeout = definition.timeout or self._call_timeout
        if isinstance(definition, ObjectDefinition):
            generation.name = definition.key
            self._send(messages.append_object(definition, timeout, pickled))
        else:
            generation.name = definition.name if keep_name else self._unique(definition.name)
            self._send(messages.append_function(definition, generation.name, generation.replicas, timeout, pickled))

    def _unique(self, name: str) -> str:
        # the tag keeps it apart from former generations and other applications: a venv on ignis has one table of names
        return wire_name(name, f"{self._tag}-{next(self._numbers)}")
