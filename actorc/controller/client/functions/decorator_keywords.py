"""The keywords of the decorator of a function or class: resources, venv, replicas and timeout, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from actorc.controller.client.timeouts import positive
from actorc.controller.errors import ControllerError
from actorc.storage import units

_DEFAULT_VENV: Final = "default"


def read(name: str, config: Any) -> tuple[str, dict[str, Any]]:
    """Return the name that the decorator gives, else `name`, and its other keywords as fields of a `Definition`.

    Args:
        name: Name of the function or class.
        config: The keywords, which Lucas keeps as a dict or, up to November 2025, as attributes.

    Raises:
        ControllerError: A keyword has an impossible value.
    """
    given = dict(config) if isinstance(config, Mapping) else vars(config)
    name = str(given.get("name") or name)
    resources = {"cpu": given.get("cpu"), "memory": given.get("memory"), "gpu": given.get("gpu")}
    resources |= given.get("resources") or {}
    dependency = given.get("dependency") or ()
    return name, {
        "venv": _venv(name, str(given.get("venv") or _DEFAULT_VENV)),
        "requirements": (dependency,) if isinstance(dependency, str) else tuple(map(str, dependency)),
        "cpu": _count(name, "cpu", resources["cpu"], 1, each=1000),
        "memory": memory_bytes(name, resources["memory"]),
        "gpu": _count(name, "gpu", resources["gpu"], 0),
        "replicas": max(1, _count(name, "replicas", given.get("replicas"), 1)),
        "timeout": _timeout(name, given.get("timeout")),
        "backend": given.get("backend"),
    }


def memory_bytes(function: str, given: object) -> int:
    """Return the bytes that `given` stands for: a number, or text such as ``128MB``, ``512Mi`` or ``1.5G``."""
    if given is None:
        return 0
    try:
        return units.size(str(given))
    except ValueError:
        raise ControllerError(
            f"{given!r} is no memory for {function!r}; give bytes, or a text such as '512Mi'", function=function
        ) from None


def _venv(function: str, given: str) -> str:
    if given in (".", "..") or not given.isprintable() or set(given) & set("/\\"):
        raise ControllerError(
            f"{given!r} is no venv for {function!r}, because ignis makes a folder of that name; give a plain name",
            function=function,
        )
    return given


def _timeout(function: str, given: object) -> float | None:
    found = positive(given)
    if found is None and given is not None:
        raise ControllerError(
            f"{given!r} is no timeout for {function!r}; give seconds above 0, or leave it out", function=function
        )
    return found


def _count(function: str, keyword: str, given: Any, default: int, each: int = 1) -> int:
    """Return a whole number from 0 up: `given` times `each`, rounded up; `default` times `each` for None."""
    if given is None:
        return default * each
    if isinstance(given, (int, float)) and 0 <= given < math.inf:
        return math.ceil(given * each)
    raise ControllerError(f"{given!r} is no {keyword} for {function!r}; give a number from 0 up", function=function)
