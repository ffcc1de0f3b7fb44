"""Objects with fields, made of data as an annotation asks; their classes come from the function, never from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from actorc.signatures import annotations_of, signature_of
from lucas_storage.values.annotations.annotation import RecordKind

Classes: TypeAlias = Mapping[str, type]
"""Classes by the names that annotations have for them."""

_ATTRIBUTE: Final = "_lucas_storage_classes"
"""On a function: shipped with it, so that a class of the user's script is known where the function runs."""


def remember_classes(function: Any, classes: Classes) -> None:
    """Let a function carry the classes that its parameters are annotated with."""
    if classes:
        setattr(function, _ATTRIBUTE, dict(classes))


def classes_of(function: Any) -> Classes:
    """Return the classes that `remember_classes` attached."""
    found: Classes = getattr(function, _ATTRIBUTE, {})
    return found


def fields_given(value: Any, kind: RecordKind, cls: type) -> dict[str, Any] | None:
    """Return the fields of data that is to become an object of `cls`; None for all other values, such as an object.

    Raises:
        TypeError: The data has other names than the class has fields; to follow the name of its parameter.
    """
    if kind == "pydantic" and is_nameless(cls):
        return None if is_nameless(type(value)) else {"root": value}
    if kind == "namedtuple" and type(value) in (list, tuple):  # engines that carry JSON make lists of tuples
        return _by_position(value, cls)
    if type(value) is not dict:
        return None
    known, needed = _parameters(kind, cls)
    surplus = set() if known is None else value.keys() - known
    # Checked before any field is loaded: the constructor would report it only after all downloads.
    wrong = [*sorted(needed - value.keys()), *sorted(map(str, surplus))]
    if wrong:
        raise TypeError(
            f"is annotated {cls.__name__} and got a dict that does not fit it, see {', '.join(map(repr, wrong))}; "
            "give each field that has no default, and no others"
        )
    return dict(value)


def is_nameless(cls: type) -> bool:
    """Return whether a class is a model of pydantic of one value, which is given without the name of a field."""
    return bool(getattr(cls, "__pydantic_root_model__", False))


def _by_position(value: Sequence[Any], cls: Any) -> dict[str, Any]:
    names, defaults = cls._fields, cls._field_defaults
    if not len(names) - len(defaults) <= len(value) <= len(names):
        raise TypeError(
            f"is annotated {cls.__name__} and got a {type(value).__name__} of {len(value)}; "
            f"give the {len(names)} fields in their order, of which {len(defaults)} have defaults"
        )
    return dict(zip(names, value, strict=False))


def made(cls: type, names: Mapping[str, Any], fields: list[Any]) -> Any:
    """Return an object of a class from the values of its fields; of a typed dict, the dict."""
    return cls(**dict(zip(names, fields, strict=True)))


def _parameters(kind: RecordKind, cls: type) -> tuple[set[str] | None, set[str]]:
    """Return the names that the constructor takes, None if it takes any, and those that it needs."""
    if kind == "typeddict":
        known = set(annotations_of(cls))
        return known, set(getattr(cls, "__required_keys__", known))
    parameters = [item for item in signature_of(cls).parameters.values() if item.kind is not item.VAR_POSITIONAL]
    named = [item for item in parameters if item.kind is not item.VAR_KEYWORD]
    # A namedtuple, too, has parameters with names; those of a model are keywords.
    needed = {item.name for item in named if item.default is item.empty}
    return None if len(named) < len(parameters) else {item.name for item in named}, needed
