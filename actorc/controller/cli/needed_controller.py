"""A controller for a script that uses the actor platform, with our client or with Lucas's own.

Ours asks for one when it makes its first call. Lucas's own reads addresses from the environment while it is imported or
soon after, and knows nothing of us; so a controller is there, and named in the environment, before Python looks for it.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Final

import click

from actorc.controller.client import address
from actorc.controller.client.timeouts import Timeouts

if TYPE_CHECKING:
    from actorc.controller.local import LocalController

_LUCAS_CLIENT: Final = "lucas.actorc"
"""The package of Lucas's own client; whatever loads it, the decorator ``@function(provider="actor")`` too, uses it."""
_OUR_CLIENT: Final = "actorc.controller.context"
"""Takes the place of Lucas's own client once that is imported."""


_started: Final[list[LocalController]] = []


def provide(is_embedded: bool) -> None:  # called by position, as every such function is
    """Have a controller started when the script first calls a function on the actor platform, if it ever does.

    Args:
        is_embedded: Whether `lucas` is the embedded engine. Genuine Lucas may bring a client of its own, which is told
            of the controller in its environment when it is first imported.
    """
    address.start_when_needed(_start)
    if not is_embedded and _LUCAS_CLIENT not in sys.modules:
        sys.meta_path.insert(0, _Watch())


def variables(address: str, app_id: str) -> dict[str, str]:
    """Return what clients read: ours IGNIS_ADDR before MASTER_ADDR, Lucas's own MASTER_ADDR alone, both APP_ID."""
    return {"IGNIS_ADDR": address, "MASTER_ADDR": address, "APP_ID": app_id}


def _start() -> tuple[str, str]:
    from actorc.controller.local import LocalController  # noqa: PLC0415  # few scripts need it
    from actorc.controller.local.options import DEFAULT_CALL_TIMEOUT  # noqa: PLC0415

    controller = LocalController(call_timeout=Timeouts.from_environment().call or DEFAULT_CALL_TIMEOUT)
    _started.append(controller)
    atexit.register(controller.close)
    return controller.address, controller.app_id


class _Watch:
    """Finds nothing, and notices that Lucas's own client is looked for."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # Python's contract
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return None, so that Python goes on looking; before it does, once, Lucas's client is told what it reads."""
        # where our client takes its place, a controller is started at the first call, if there is one
        if name == _LUCAS_CLIENT and self in sys.meta_path and _OUR_CLIENT not in sys.modules:
            sys.meta_path.remove(self)
            _tell_lucas()
        return None


def _tell_lucas() -> None:
    """Fill in what the environment lacks; what the user chose stays."""
    destination = address.Choice().destination()
    for controller in _started:
        # Lucas's client never ends its session, and shows a traceback if the controller does before this process; it
        # ends with this process, which closes the socket between them
        atexit.unregister(controller.close)
    # a session has an id to itself, and our own client may come to have one beside Lucas's; the controller that is
    # started here serves its id with a dot and more behind it, too
    app_id = f"{destination.app_id}.lucas" if destination.is_started else destination.app_id
    told = variables(destination.address, app_id)
    if destination.is_started:
        os.environ["APP_ID"] = told["APP_ID"]
    before = os.environ.get("MASTER_ADDR", "")
    if before and not address.is_address(before):
        click.echo(
            f"lucas-storage: MASTER_ADDR is {told['MASTER_ADDR']} from here on, as Lucas's own client of the actor "
            f"platform reads it; {before!r} has no port",
            err=True,
        )
        del os.environ["MASTER_ADDR"]
    for name, value in told.items():
        if not os.environ.get(name):
            os.environ[name] = value
