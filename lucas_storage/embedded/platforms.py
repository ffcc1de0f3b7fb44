"""Platforms of other packages, found by entry points.

The engine imports no platform. A package that has one registers its module, in the group `lucas_storage.platforms` and
under the name of the provider, with these classes:

    actor    ActorContext, ActorExecutor, ActorFunction, ActorRuntime, ActorRuntimeClass
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

GROUP = "lucas_storage.platforms"


@cache
def platform(provider: str) -> Any:
    """Return the module that was registered for `provider`.

    Raises:
        ImportError: No installed package has one.
    """
    # The first one: two packages for one provider are a mistake of the installation, which cannot be resolved here.
    for found in entry_points(group=GROUP, name=provider):
        return found.load()
    message = (
        f"no package that is installed here brings the platform {provider!r}; lucas-storage itself brings 'actor', so "
        "install it anew if that one is missing"
    )
    raise ImportError(message)
