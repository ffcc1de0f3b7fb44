"""What the client needs of Lucas, genuine or embedded; no other module of it imports `lucas`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

try:
    from lucas import ActorClass, ActorInstance, Function, Runtime, routeBuilder
except ImportError as error:
    message = (
        "actorc.controller needs Lucas, which is not importable here; clone its repository and 'pip install -e' the "
        "clone (the lucas on PyPI is another project), or run the script with 'lucas-storage run', which brings an "
        "engine of its own"
    )
    raise ImportError(message, name=error.name, path=error.path) from error

__all__ = ["ActorClass", "ActorInstance", "Function", "Runtime", "registered", "takes_provider_actor"]

_CLIENT: Final = "lucas.actorc.actor"


def registered() -> list[Any]:
    """Return what `@function` registered, the latest first; each has a `name` and, mostly, a `function`."""
    return list(reversed(routeBuilder.build().functions))


def takes_provider_actor() -> bool:
    """Return whether this Lucas has a class of its own for the provider `actor`, whatever a function's `wrapper` is.

    It does since it gives keywords to functions as a dict, which took the place of a class.
    """
    import lucas  # noqa: PLC0415  # asked for by its own name, which the embedded engine does not have

    return lucas.__name__ == "lucas" and not hasattr(lucas, "FunctionConfig")


def own_client() -> Any:
    """Return the module of Lucas's own client of the platform; importing it loads its protobuf files."""
    # not as an attribute of its package, which it is only at the end of its import
    return importlib.import_module(_CLIENT)  # puts folders of its own on the module search path


def when_own_client_is_imported(do: Callable[[], object]) -> None:
    """Call `do` as soon as Lucas's own client has been imported for the first time, whoever does that, if there is one.

    It is imported by `@function(provider="actor")`, and would connect there and then.
    """
    if takes_provider_actor() and _CLIENT not in sys.modules:
        sys.meta_path.insert(0, _Watch(do))


class _Watch:
    """Finds Lucas's own client as others find it, once, and lets its loader call something when it is done."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # Python's contract
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return how to load the client; None for every other module."""
        if name != _CLIENT or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec, spec.loader, self._do)
        return spec


class _Loader(Loader):
    """Loads a module as its own loader does, which it has again from then on."""

    def __init__(self, spec: ModuleSpec, own: Loader, do: Callable[[], object]) -> None:
        self._spec = spec
        self._own = own
        self._do = do

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader makes."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then do what was to be done."""
        self._spec.loader = module.__loader__ = self._own
        self._own.exec_module(module)
        self._do()
