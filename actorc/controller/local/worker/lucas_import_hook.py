"""An import hook that provides Lucas to functions whose modules import it where it is not installed."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def provide_lucas() -> None:
    """Import the embedded engine as `lucas` on demand, because few functions need it."""
    sys.meta_path.insert(0, _LucasFinder())


class _LucasFinder:
    """A finder and loader for `lucas`; Python asks it for every module until the first import of Lucas.

    It has no base class, since those of `importlib.abc` would load `tempfile` and `shutil` in every worker.
    """

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Return the spec of the embedded engine for `lucas` if Lucas is not installed; else None."""
        if fullname != "lucas":
            return None
        sys.meta_path.remove(self)
        from lucas_storage import embedded  # noqa: PLC0415  # only where it is asked for

        if not embedded.install():
            return None
        # the import system would take an entry in `sys.modules` for a module that is being loaded a second time
        self._engine = sys.modules.pop(fullname)
        self._spec = self._engine.__spec__
        return ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """Return the engine, which is loaded already."""
        return self._engine

    def exec_module(self, module: ModuleType) -> None:
        """Restore the engine's own spec."""
        module.__spec__ = self._spec
