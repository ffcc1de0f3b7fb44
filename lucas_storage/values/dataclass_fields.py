"""Dataclass parameters: split into fields, which are filled by their annotations, and rebuilt."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Classes: TypeAlias = Mapping[str, type]
"""Dataclasses by the names that plans have for them."""

_ATTRIBUTE: Final = "_lucas_storage_classes"
"""On a function: shipped with it, so that a class of the user's script is known where the function runs."""


def remember_classes(function: Any, classes: Classes) -> None:
    """Let a function carry the dataclasses that its parameters are annotated with."""
    if classes:
        setattr(function, _ATTRIBUTE, dict(classes))


def classes_of(function: Any) -> Classes:
    """Return the dataclasses that `remember_classes` attached."""
    found: Classes = getattr(function, _ATTRIBUTE, {})
    return found


def taken_apart(value: Any, cls: type | None) -> dict[str, Any] | None:
    """Return the fields of a dataclass instance, or of a dict that is to become one; None if it is neither.

    Args:
        value: The argument.
        cls: The dataclass of the annotation; None if it is not known here, and dicts stay dicts.

    Raises:
        TypeError: The dict has other keys than the class has fields; to follow the name of its parameter.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if cls is None or type(value) is not dict:
        return None
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    needed = {name for name, field in fields.items() if _has_no_default(field)}
    # Checked before any field is loaded: the constructor would report it only after all downloads.
    wrong = [*sorted(needed - value.keys()), *sorted(map(str, value.keys() - fields.keys()))]
    if wrong:
        raise TypeError(
            f"is annotated {cls.__name__} and got a dict that does not fit it, see {', '.join(map(repr, wrong))}; "
            "give each field that has no default, and no others"
        )
    return dict(value)


def rebuilt(value: Any, cls: type | None, fields: dict[str, Any]) -> Any:
    """Return the instance with these fields: `value` itself if they are its own."""
    if type(value) is dict:
        assert cls is not None
        return cls(**fields)
    changed = {name: field for name, field in fields.items() if field is not getattr(value, name)}
    if not changed:
        return value
    # A copy: the instance may belong to the caller, who sees no references replaced in it.
    new = copy.copy(value)
    for name, field in changed.items():
        object.__setattr__(new, name, field)  # a frozen instance has no other way, and no constructor runs twice
    return new


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
