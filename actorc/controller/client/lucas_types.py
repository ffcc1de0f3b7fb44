"""The parts of Lucas that the client uses, genuine or embedded; no other module of the client imports `lucas`."""

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
        "clone (the lucas on PyPI is another project), or call lucas_storage.local() first, or run the script with "
        "'lucas-storage run', which both bring an engine of their own"
    )
    raise ImportError(message, name=error.name, path=error.path) from error

__all__ = ["ActorClass", "ActorInstance", "Function", "Runtime", "registered", "takes_provider_actor"]

_CLIENT_MODULE: Final = "lucas.actorc.actor"


def registered() -> list[Any]:
    """Return the functions registered by `@function`, latest first; each has a `name` and, mostly, a `function`."""
    return list(reversed(routeBuilder.build().functions))


def takes_provider_actor() -> bool:
    """Return whether this Lucas has a class of its own for the provider `actor`, regardless of a function's `wrapper`.

    It does since it passes keywords to functions as a dict; before, it had the class `FunctionConfig` for them.
    """
    import lucas  # noqa: PLC0415  # asked for by its own name, which the embedded engine does not have

    return lucas.__name__ == "lucas" and not hasattr(lucas, "FunctionConfig")


def own_client() -> Any:
    """Return the module of Lucas's own client of the platform; importing it loads its protobuf files."""
    # not as an attribute of its package, which is set only at the end of the import
    return importlib.import_module(_CLIENT_MODULE)  # puts folders of its own on the module search path


def when_own_client_is_imported(do: Callable[[], object]) -> None:
    """Call `do` as soon as Lucas's own client has been imported for the first time, if this Lucas has one.

    `@function(provider="actor")` imports it, and without `do` it would connect at once.
    """
    if takes_provider_actor() and _CLIENT_MODULE not in sys.modules:
        sys.meta_path.insert(0, _ImportHook(do))


class _ImportHook:
    """An import hook that finds Lucas's own client as Python does, once, and calls a function after it was loaded."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # Python's contract
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return the spec of the client; None for every other module."""
        if name != _CLIENT_MODULE or self not in sys.meta_path:
            return None
        # before the lookup, which would otherwise call this finder again
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _CallingLoader(spec, spec.loader, self._do)
        return spec


class _CallingLoader(Loader):
    """Loads a module with its own loader, and restores that loader."""

    def __init__(self, spec: ModuleSpec, own: Loader, do: Callable[[], object]) -> None:
        self._spec = spec
        self._own = own
        self._do = do

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module that its own loader creates."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, then call the function."""
        self._spec.loader = module.__loader__ = self._own
        self._own.exec_module(module)
        self._do()
