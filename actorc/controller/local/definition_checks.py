"""Checks of the definition that a client registers: whether this controller and this Python can run it."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Final, TypeAlias

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

Definition: TypeAlias = pb.AppendPyFunc | pb.AppendPyClass

_LANGUAGES: Final = (pb.LANGUAGE_JSON, pb.LANGUAGE_PYTHON)
_REQUIREMENT: Final = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~@(].*)?"
)
"""A package name and the text that may follow; the conditions of PEP 508 are not evaluated."""
_OURS: Final = frozenset({"actorc", "lucas", "lucas-storage"})
"""Packages every worker has, wherever they were installed from."""


def refusal(command: Definition, shown: str, path: Sequence[str]) -> str:
    """Return why a function cannot be called here, and the remedy; empty if it can.

    Args:
        command: The registration.
        shown: The function's name in messages.
        path: Where workers find modules, after those of this Python.
    """
    if command.language not in _LANGUAGES:
        return f"{shown!r} returns values in a language that is not written here; register it for Python"
    if negative := _negative(command):
        return f"{shown!r} asks for {negative}, which is less than nothing; give a number from 0 up"
    if not 0 <= command.timeout < math.inf:
        return f"{shown!r} gives a call {command.timeout:g} seconds; give a number above 0, such as 600"
    if absent := [each for each in command.requirements if not _is_there(each, path)]:
        return (
            f"{shown!r} depends on {', '.join(map(repr, absent))}, which the Python of this controller does not have, "
            f"and a dependency is never installed here; install it for {sys.executable}, or take it out of 'dependency'"
        )
    return ""


def excess(command: Definition, shown: str) -> str:
    """Return a warning if a function asks for more processors than there are, though it runs all the same; else empty.

    The platform counts thousandths of a core.
    """
    asked, there = command.resources.cpu, 1000 * (os.cpu_count() or 1)
    if asked <= there:
        return ""
    return f"{shown!r} asks for {asked:,} thousandths of a core and this machine has {there:,}; it runs all the same"


def _negative(command: Definition) -> str:
    resources = command.resources
    amounts = {
        "thousandths of a core": resources.cpu,
        "bytes of memory": resources.memory,
        "GPUs": resources.gpu,
        "replicas": command.replicas,
    }
    return ", ".join(f"{amount} {unit}" for unit, amount in amounts.items() if amount < 0)


def _is_there(requirement: str, path: Sequence[str]) -> bool:
    """Return whether a required package is installed, whatever its version; file names and URLs count as installed."""
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None or match[1].endswith((".py", ".txt", ".whl")):
        return True
    name = match[1]
    if name.lower().replace("_", "-") in _OURS:
        return True
    from importlib.metadata import Distribution  # noqa: PLC0415  # slow to load, and few functions depend on anything

    invalidate_caches()  # the package may have been installed since the last look
    if next(iter(Distribution.discover(name=name, path=[*sys.path, *path])), None) is not None:
        return True
    return "." not in name and _is_module(name.replace("-", "_"), path)


def _is_module(name: str, path: Sequence[str]) -> bool:
    """Return whether a module of this name can be imported; a mere folder is none."""
    with suppress(ValueError):  # one that is loaded in an unusual way
        for spec in (find_spec(name), PathFinder.find_spec(name, path)):
            if spec is not None and spec.origin is not None:
                return True
    return False
