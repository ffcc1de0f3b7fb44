"""Arguments that can be loaded any number of times, for a step that is attempted again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lucas_storage.containers import BUILT_IN, apart
from lucas_storage.formats.json_data.plain_data import SCALARS
from lucas_storage.refs import is_tagged
from lucas_storage.values.wire_form import too_deep

from .outgoing import stored
from .policy import Policies
from .store_value import kind_of_source

_NOTHING_TO_READ: Final = SCALARS | {bytes}


def rereadable(given: Mapping[str, Any], policy: Policies) -> dict[str, Any]:
    """Return parameters in which iterators and open files are stored, and references stand in their place.

    Raises:
        ArtifactError: One of them cannot be stored.
        ValueError: A value contains itself.
    """
    return {name: _of_parameter(name, value, policy) for name, value in given.items()}


def _of_parameter(name: str, value: Any, policy: Policies) -> Any:
    try:
        return _rereadable(value, policy)
    except RecursionError as error:
        raise ValueError(too_deep(f"parameter {name!r}")) from error


def _rereadable(value: Any, policy: Policies) -> Any:
    kind = type(value)
    if kind in _NOTHING_TO_READ or (kind is dict and is_tagged(value)):
        return value
    if kind not in BUILT_IN and not isinstance(value, Path) and kind_of_source(value) is not None:
        return stored(value, policy).to_json()
    parts = apart(value)
    if parts is None or set(map(type, parts.children)) <= _NOTHING_TO_READ:
        return value
    children = [_rereadable(child, policy) for child in parts.children]
    # What holds none of them stays the object it was, which is copied for each attempt.
    same = all(new is old for new, old in zip(children, parts.children, strict=True))
    return value if same else parts.make(children)
