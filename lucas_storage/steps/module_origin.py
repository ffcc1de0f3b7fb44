"""Where a module comes from: the user's own code, the standard library, or an installed package with its version."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import sysconfig
from functools import lru_cache
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import PurePath
from types import ModuleType
from typing import Any, Final, TypeAlias

Origin: TypeAlias = tuple[str, ...]
"""What an installed module counts as."""

_OURS: Final = ("actorc", "lucas", "lucas_storage")
"""Without a version: a new version of them must not make all results stale, and what they do to values is in the key
by the formats of the values and the annotations of the step."""
_INSTALLED: Final = ("site-packages", "dist-packages")
_PYTHON: Final = ("python",)
"""The standard library; the minor version of Python is part of every key."""


def module_origin(name: str, file: str | None) -> Origin | None:
    """Return what a module counts as, None if it is the user's own.

    Args:
        name: Its full name.
        file: Where it was loaded from, None if that is not known.
    """
    top = name.partition(".")[0]
    if top in _OURS:
        return (top,)
    if file is None:
        return _PYTHON if top in sys.stdlib_module_names else None
    return _origin_of_file(top, file)


def loaded_origin(namespace: dict[str, Any]) -> Origin | None:
    """Return what code counts as whose global variables are `namespace`, None if it is the user's own."""
    name, file = namespace.get("__name__"), namespace.get("__file__")
    if not isinstance(name, str) or name in ("__main__", "__mp_main__"):
        return None
    # A package in several folders has no file.
    folders = list(namespace.get("__path__") or ())
    return module_origin(name, file if isinstance(file, str) else str(folders[0]) if folders else None)


def named_origin(name: str) -> Origin | None:
    """Return what the module of a name counts as, loaded or not, and without loading it.

    Raises:
        ModuleNotFoundError: There is none.
    """
    module = sys.modules.get(name) or sys.modules.get(name.partition(".")[0])
    if module is not None:
        return loaded_origin(vars(module))
    top = name.partition(".")[0]
    if top in sys.builtin_module_names:
        return _PYTHON
    spec = PathFinder.find_spec(top)
    if spec is None:
        raise ModuleNotFoundError(name)
    folders = list(spec.submodule_search_locations or ())
    return module_origin(name, spec.origin or (folders[0] if folders else None))


def compiled_file(module: ModuleType | None) -> str | None:
    """Return the file of a module that was not written in Python, None if it has none."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) and file.endswith(tuple(EXTENSION_SUFFIXES)) else None


@lru_cache(maxsize=4096)
def _origin_of_file(top: str, file: str) -> Origin | None:
    if not set(_INSTALLED).isdisjoint(PurePath(file).parts):
        # What no distribution owns was copied there by hand, and nothing but its code says what it is.
        return _distributions(top) or None
    # By the place, too: a script's own `queue.py` is not the one of the standard library.
    is_python = top in sys.stdlib_module_names and file.startswith(_library_folders())
    return _PYTHON if is_python else None


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)}  # noqa: PTH120
    archive = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    return (*(f"{each}{os.sep}" for each in sorted(folders)), *(p for p in sys.path if p.endswith(archive)))


@lru_cache(maxsize=1024)
def _distributions(top: str) -> Origin:
    """Return names and versions of the distributions that a top-level module belongs to."""
    try:
        found = [metadata.distribution(top)]
    except metadata.PackageNotFoundError:
        found = []
    if not any(_provides(each, top) for each in found):
        # The long way, through all that is installed: a module need not have the name of its distribution.
        found = [metadata.distribution(name) for name in set(metadata.packages_distributions().get(top, ()))]
    return tuple(sorted(map(_version, found)))


def _provides(distribution: metadata.Distribution, top: str) -> bool:
    record = distribution.read_text("RECORD") or ""
    names = (distribution.read_text("top_level.txt") or "").split()
    return top in names or re.search(rf"^{re.escape(top)}[/.]", record, re.MULTILINE) is not None


def _version(distribution: metadata.Distribution) -> str:
    text = f"{distribution.metadata['Name']} {distribution.version}"
    source = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not source:
        return text
    # Installed from a folder or a repository, where code changes under one version: by the digests of its files, too.
    record = (distribution.read_text("RECORD") or "").splitlines()
    lines = sorted(
        line for line in record if "sha256=" in line and not line.startswith("..") and ".dist-info/" not in line
    )
    return f"{text} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
