"""The client of the actor platform: its context, functions, runtime classes, executor and runtime.

They are loaded on access, because they need Lucas; the modules beneath do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import (
        ActorContext,
        ActorExecutor,
        ActorFunction,
        ActorRuntime,
        ActorRuntimeClass,
        ActorRuntimeInstance,
    )

__all__ = [
    "ActorContext",
    "ActorExecutor",
    "ActorFunction",
    "ActorRuntime",
    "ActorRuntimeClass",
    "ActorRuntimeInstance",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import context  # noqa: PLC0415  # needs Lucas, which a worker or a controller may not have

    return getattr(context, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
