"""An ignis controller on this machine: the same session, functions in worker processes.

For workflows on the actor platform where there is no ignis. It serves loopback only, and only applications that it was
told to serve: whoever may register may run code here.
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
