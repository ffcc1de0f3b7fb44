"""An ignis controller on this machine: it speaks the same session protocol and runs functions in worker processes.

For workflows on the actor platform where there is no ignis. It serves loopback only, and only configured applications,
because everyone who may register may run code here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .controller import LocalController

__all__ = ["LocalController"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .controller import LocalController  # noqa: PLC0415  # every worker imports this package, and needs none of it

    globals()[name] = LocalController
    return LocalController
