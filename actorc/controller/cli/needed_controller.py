"""Start a controller for a script that uses the actor platform, with this client or with Lucas's own.

This client asks for one at its first call. Lucas's own reads addresses from the environment while it is imported or
soon after, and knows nothing of this package; so an import hook starts a controller, and sets the variables, first.
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
"""The package of Lucas's own client; everything that loads it uses it, also ``@function(provider="actor")``."""
_OUR_CLIENT: Final = "actorc.controller.context"
"""The module of this client, which replaces Lucas's own once it is imported."""


_controllers: Final[list[LocalController]] = []


def provide(is_embedded: bool) -> None:  # called by position, as every such function is
    """Start a controller when the script first calls a function on the actor platform, if it ever does.

    Args:
        is_embedded: Whether `lucas` is the embedded engine. Genuine Lucas may bring its own client, which needs the
        address in the environment before it is first imported.
    """
    address.start_when_needed(_start)
    if not is_embedded and _LUCAS_CLIENT not in sys.modules:
        sys.meta_path.insert(0, _ImportHook())


def variables(address: str, app_id: str) -> dict[str, str]:
    """Return the variables that clients read: this one IGNIS_ADDR before MASTER_ADDR, Lucas's own only MASTER_ADDR."""
    return {"IGNIS_ADDR": address, "MASTER_ADDR": address, "APP_ID": app_id}


def _start() -> tuple[str, str]:
    from actorc.controller.local import LocalController  # noqa: PLC0415  # few scripts need it
    from actorc.controller.local.options import DEFAULT_CALL_TIMEOUT  # noqa: PLC0415

    controller = LocalController(call_timeout=Timeouts.from_environment().call or DEFAULT_CALL_TIMEOUT)
    _controllers.append(controller)
    atexit.register(controller.close)
    return controller.address, controller.app_id


class _ImportHook:
    """An import hook that finds no module; it reacts to the first import of Lucas's own client."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # Python's contract
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return None, so that Python finds the module itself; set the environment before Lucas's client loads."""
        # where our client takes its place, a controller is started at the first call, if there is one
        if name == _LUCAS_CLIENT and self in sys.meta_path and _OUR_CLIENT not in sys.modules:
            sys.meta_path.remove(self)
            _set_variables()
        return None


def _set_variables() -> None:
    """Set the variables that Lucas's client reads; a variable the user has set stays."""
    destination = address.ControllerChoice().destination()
    for controller in _controllers:
        # Lucas's client never ends its session, and shows a traceback if the controller does before this process; it
        # ends with this process, which closes the socket between them
        atexit.unregister(controller.close)
    # a session has an id to itself, and our own client may come to have one beside Lucas's; the controller that is
    # started here serves its id with a dot and more behind it, too
    app_id = f"{destination.app_id}.lucas" if destination.is_started else destination.app_id
    values = variables(destination.address, app_id)
    if destination.is_started:
        os.environ["APP_ID"] = values["APP_ID"]
    before = os.environ.get("MASTER_ADDR", "")
    if before and not address.is_address(before):
        click.echo(
            f"lucas-storage: MASTER_ADDR is {values['MASTER_ADDR']} from here on, as Lucas's own client of the actor "
            f"platform reads it; {before!r} has no port",
            err=True,
        )
        del os.environ["MASTER_ADDR"]
    for name, value in values.items():
        if not os.environ.get(name):
            os.environ[name] = value
