"""Lucas for functions whose modules import it, where it is not installed."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def provide_lucas() -> None:
    """Let the embedded engine take its place when it is first imported, and not before: few functions need it."""
    sys.meta_path.insert(0, _Engine())


class _Engine:
    """Is asked for every module, until one asks for Lucas: a finder and a loader, as the import system calls them.

    The base classes that `importlib.abc` has for both would bring `tempfile` and `shutil` to every worker.
    """

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Return what makes Lucas, if that is asked for and not there."""
        if fullname != "lucas":
            return None
        sys.meta_path.remove(self)
        from lucas_storage import embedded  # noqa: PLC0415  # only where it is asked for

        if not embedded.install():
            return None
        # the import system takes what is there already for a module to load once more
        self._engine = sys.modules.pop(fullname)
        self._spec = self._engine.__spec__
        return ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """Return the engine, which is there already."""
        return self._engine

    def exec_module(self, module: ModuleType) -> None:
        """Let the engine keep its own name."""
        module.__spec__ = self._spec
