"""Classes with named fields, of five kinds, and the annotations of their fields."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actorc.signatures import annotations_of

from .annotation import RecordKind

_INIT_VAR: Final = re.compile(r"\s*([\w.]+\.)?InitVar\b")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a class, with its annotation as it is written."""

    name: str
    annotation: Any
    owner: type
    """The class whose body declares it; in whose module the names of a text are looked up."""


def record_kind(cls: type) -> RecordKind | None:
    """Return the kind of a class with named fields; None if it is no such class.

    The packages attrs and pydantic are not imported for this.
    """
    if dataclasses.is_dataclass(cls):
        return "dataclass"
    if hasattr(cls, "__attrs_attrs__"):
        return "attrs"
    if any(
        base.__name__ == "BaseModel" and base.__module__.partition(".")[0] == "pydantic" for base in cls.__mro__[1:]
    ):
        return "pydantic"
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "namedtuple"
    return "typeddict" if issubclass(cls, dict) and hasattr(cls, "__required_keys__") else None


def fields_of(cls: Any, kind: RecordKind) -> Iterator[Field]:
    """Yield the fields of a class of this kind, in the order of their declaration.

    One that its constructor takes under an alias is yielded under both names.
    """
    match kind:
        case "dataclass":
            found = {field.name: field.type for field in dataclasses.fields(cls)} | _of_constructor(cls)
        case "attrs":
            found = {
                name: Any if field.type is None else field.type
                for field in cls.__attrs_attrs__
                for name in (field.name, field.alias)
            }
        case "pydantic":
            found = _of_model(cls)
        case "namedtuple":
            found = {name: _declared(cls, name) for name in cls._fields}
        case "typeddict":
            # Of all bases together, which a dict has no others of.
            found = _annotations(cls)
    for name, annotation in found.items():
        yield Field(name, annotation, _owner(cls, name))


def _of_constructor(cls: Any) -> dict[str, Any]:
    """Return what the constructor of a dataclass takes and does not keep."""
    return {
        name: annotation
        for base in reversed(cls.__mro__)
        if hasattr(base, "__dataclass_fields__")
        for name, annotation in _annotations(base).items()
        if isinstance(annotation, dataclasses.InitVar) or (isinstance(annotation, str) and _INIT_VAR.match(annotation))
    }


def _of_model(cls: Any) -> dict[str, Any]:
    is_second = hasattr(cls, "model_fields")
    fields = cls.model_fields if is_second else cls.__fields__
    return {
        known: Any if field.annotation is None else field.annotation
        for name, field in fields.items()
        for known in (name, field.alias)
        if known is not None
    }


def _declared(cls: type, name: str) -> Any:
    return _annotations(_owner(cls, name)).get(name, Any)


def _owner(cls: type, name: str) -> type:
    return next((base for base in cls.__mro__ if name in _annotations(base)), cls)


def _annotations(cls: type) -> dict[str, Any]:
    # Not those of a base class, which `getattr` would find.
    return annotations_of(cls)
