"""Where a run takes place: the machine, its Python, and the packages that are imported there."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata
from typing import Any, Final

_PYTHON: Final = platform.python_version()
_known: tuple[int, dict[str, str]] = 0, {}
"""The number of modules that were loaded, and the packages then.

Without a lock: threads that come at the same time find out the same twice."""


@cache
def machine_name() -> str:
    """Return the name of this machine."""
    return platform.node()


def surroundings() -> dict[str, Any]:
    """Return machine, Python and packages, as the record of a run has them."""
    return {"machine": machine_name(), "python": _PYTHON, "packages": imported_packages()}


def imported_packages() -> dict[str, str]:
    """Return the versions, by name, of the installed packages of which a module is loaded in this process.

    The first call reads which package every module belongs to, some ten milliseconds; later ones only look at what was
    loaded meanwhile. A package that was installed after the first call is not found.
    """
    global _known  # noqa: PLW0603
    count, packages = _known
    if count != len(sys.modules):
        loaded = {name.partition(".")[0] for name in list(sys.modules)}
        packages = dict(_name_and_version(each) for each, tops in _installed() if not loaded.isdisjoint(tops))
        _known = len(sys.modules), packages
    return packages


@cache
def _installed() -> list[tuple[metadata.Distribution, frozenset[str]]]:
    """Return what is installed, with the names of the modules at its top; what is imported first of a name last."""
    return [(each, _tops(each)) for each in list(metadata.distributions())[::-1]]


def _tops(distribution: metadata.Distribution) -> frozenset[str]:
    listed = (distribution.read_text("top_level.txt") or "").split()
    if listed:
        return frozenset(listed)
    # By the list of its files: `distribution.files` takes ten times as long.
    files = (distribution.read_text("RECORD") or "").splitlines()
    tops = {line.partition(",")[0].partition("/")[0] for line in files}
    # One that was installed as a link to its source has no other file than those about itself.
    own = {top.partition("-")[0] for top in tops if top.endswith(".dist-info")}
    return frozenset(own | {top.partition(".")[0] for top in tops})


@cache
def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    return distribution.metadata["Name"], distribution.version
