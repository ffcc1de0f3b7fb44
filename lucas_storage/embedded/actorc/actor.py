"""The client of the actor platform, under the name that it has in Lucas: the module registered for `actor`."""

from __future__ import annotations

from typing import Any

from lucas_storage.embedded.platforms import platform


def __getattr__(name: str) -> Any:
    if name in {"__path__", "__wrapped__"}:
        # Asked for by the import system and by inspect, of a module that is neither a package nor wraps anything.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(platform("actor"), name)
