"""Aliases: makes the embedded engine importable as `lucas`, where genuine Lucas is absent."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from lucas_storage.embedded.errors import needs_genuine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

EMBEDDED = __package__
IMPORTABLE = Path(__file__).with_name("importable")
"""Directory of a package called lucas that imports the engine."""
ONLY_GENUINE = frozenset(
    {"build", "clean", "cluster", "deploy", "durable", "inference", "invoke", "storage", "worker", "_private"}
)
"""Modules of Lucas that serve its own platforms, none of which runs here."""


def install() -> bool:
    """Let `import lucas` mean the embedded engine, unless genuine Lucas is there.

    Every module of the engine is one object under both names, so `lucas.workflow.Lambda` is the class itself, and
    pickles name `lucas_storage.embedded`. New processes of `multiprocessing` import the engine as well, since they take
    over the module path, which ends with its directory. Calling this again changes nothing.

    Returns:
        True when `lucas` is the embedded engine now, False when genuine Lucas was found and left alone.

    Warns:
        UserWarning: Another project called lucas is installed, and hidden from now on in this process.

    Raises:
        ImportError: Another project called lucas has already been imported.
    """
    if sys.modules.get("lucas") is sys.modules[EMBEDDED]:
        return True
    found = _find_spec()
    # Genuine Lucas always wins: scripts are written for it.
    if found is not None and _is_genuine(found):
        return False
    # Its modules may be in use already; two projects under one name would be mixed.
    if "lucas" in sys.modules:
        raise ImportError(
            _stranger(found) + " It has been imported already, so the embedded engine cannot take its name; start "
            "Python again, and let the engine be installed before lucas is imported."
        )
    # A directory of that name without code is no project.
    if found is not None and found.has_location and not _is_ours(found):
        warnings.warn(_stranger(found) + " The embedded engine is used instead.", stacklevel=2)
    alias()
    return True


def alias() -> None:
    """Let `lucas` name the engine here, and in children that take over the module path."""
    # At the end: genuine Lucas that is installed later, or in a child's environment, comes first.
    if str(IMPORTABLE) not in sys.path:
        sys.path.append(str(IMPORTABLE))
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # Before all other finders, which would find the engine's files and load each a second time, with other classes.
        sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name == EMBEDDED or name.startswith(f"{EMBEDDED}."):
            # Modules that are imported already, too: else a class would exist twice, and `isinstance` would fail.
            sys.modules["lucas" + name[len(EMBEDDED) :]] = module


class _Finder(MetaPathFinder):
    """Finds the engine's modules under the name `lucas`, also those that are imported later."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 -- the import system's signature
        target: ModuleType | None = None,  # noqa: ARG002 -- the import system's signature
    ) -> ModuleSpec | None:
        """Return the spec of a module of the engine, or None for any other module.

        Raises:
            ModuleNotFoundError: Only genuine Lucas has it; the message says how to install that.
        """
        if not fullname.startswith("lucas.") or sys.modules.get("lucas") is not sys.modules[EMBEDDED]:
            return None
        ours = EMBEDDED + fullname.removeprefix("lucas")
        if fullname.split(".")[1] in ONLY_GENUINE:
            raise ModuleNotFoundError(needs_genuine(f"The module {fullname}"), name=fullname)
        return ModuleSpec(fullname, _Loader(ours)) if importlib.util.find_spec(ours) is not None else None


class _Loader(Loader):
    """Loads a module by returning the one that has another name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 -- the import system's signature
        """Return the module."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec, which the import system has replaced by that of the alias."""
        module.__spec__ = self._spec


def _find_spec() -> ModuleSpec | None:
    try:
        return importlib.util.find_spec("lucas")
    except ValueError:
        # Raised for a module without a spec, as tests make them; it has no files, so it is not genuine Lucas.
        return None


def _is_ours(spec: ModuleSpec) -> bool:
    return spec.origin is not None and IMPORTABLE in Path(spec.origin).parents


def _is_genuine(spec: ModuleSpec) -> bool:
    # Without importing `lucas`: that would run the code of another project of that name.
    folders = spec.submodule_search_locations
    return "lucas.workflow" in sys.modules or (
        folders is not None and PathFinder.find_spec("lucas.workflow", list(folders)) is not None
    )


def _stranger(spec: ModuleSpec | None) -> str:
    place = Path(spec.origin) if spec is not None and spec.origin else None
    where = f" at {place}" if place else ""
    if place and not {"site-packages", "dist-packages"} & set(place.parts):
        return f"The module lucas{where} is not the workflow engine Lucas, and hides it; give it another name."
    return (
        f"The module lucas{where} is not the workflow engine Lucas but another project, which has that name on PyPI."
        " Remove it with 'pip uninstall lucas'; for Lucas itself, clone its repository and 'pip install -e' the clone."
    )
