"""What the client needs of Lucas, genuine or embedded; no other module of it imports `lucas`."""

from __future__ import annotations

from typing import Any

try:
    from lucas import Function, Runtime, routeBuilder
except ImportError as error:
    message = (
        "actorc.controller needs Lucas, which is not importable here; clone its repository and 'pip install -e' the "
        "clone (the lucas on PyPI is another project), or run the script with 'lucas-storage run', which brings an "
        "engine of its own"
    )
    raise ImportError(message, name=error.name, path=error.path) from error

__all__ = ["Function", "Runtime", "registered", "takes_provider_actor"]


def registered() -> list[Any]:
    """Return what `@function` registered, the latest first; each has a `name` and, mostly, a `function`."""
    return list(reversed(routeBuilder.build().functions))


def takes_provider_actor() -> bool:
    """Say whether this Lucas has a class of its own for the provider `actor`, whatever a function's `wrapper` is.

    It does since it gives keywords to functions as a dict, which took the place of a class.
    """
    import lucas  # noqa: PLC0415  # asked for by its own name, which the embedded engine does not have

    return lucas.__name__ == "lucas" and not hasattr(lucas, "FunctionConfig")


def own_client() -> Any:
    """Return the module of Lucas's own client of the platform; importing it loads its protobuf files."""
    import lucas.actorc.actor  # noqa: PLC0415  # puts folders of its own on the module search path

    return lucas.actorc.actor
