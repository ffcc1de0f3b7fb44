"""Entries of classes: bases, annotations, fields and attributes, and what packages that make classes keep of them."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from types import FunctionType
from typing import Any, Final

from actorc import signatures

from .canonical import Form, NotCanonicalError
from .listed_forms import ListedForms

_DERIVED: Final = frozenset(
    (  # noqa: SIM905  # a list of them would have a line for each
        "__abstractmethods__ __annotate__ __annotate_func__ __annotations__ __annotations_cache__ __class_vars__ "
        "__dataclass_fields__ __dataclass_params__ __dict__ __doc__ __firstlineno__ __module__ __orig_bases__ "
        "__parameters__ __private_attributes__ __protocol_attrs__ __qualname__ __signature__ __slotnames__ "
        "__static_attributes__ __type_params__ __weakref__ _abc_impl"
    ).split()
)
"""Attributes of classes that say nothing, or what others say already."""
_DERIVED_PREFIXES: Final = ("__pydantic_", "__attrs_")

_FIELD: Final = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
_ATTRS_FIELD: Final = (
    "default",
    "validator",
    "converter",
    "init",
    "eq",
    "order",
    "hash",
    "metadata",
    "kw_only",
    "alias",
)


def class_entry(forms: ListedForms, cls: type) -> Form:
    """Return the entry of a class of the user, and note its attributes.

    Raises:
        CacheKeyError: An attribute has no form.
    """
    # before the attributes, among which Python 3.14 keeps them once they are evaluated
    annotations = annotations_of(cls)
    forms.watched.attributes(cls)
    members = getattr(cls, "__members__", {}) if issubclass(cls, enum.Enum) else {}
    attributes = {name: held for name, held in vars(cls).items() if _counts(cls, name, members)}
    return [
        "class",
        forms.items((type(cls), *cls.__bases__)),
        annotations,
        [[name, forms.content_of(member)] for name, member in members.items()],
        forms.unwatched(_fields(cls), f"the class {cls.__qualname__!r} has fields"),
        [[name, _attribute(forms, cls, name, held)] for name, held in sorted(attributes.items())],
    ]


def annotations_of(code: Any) -> list[list[str]]:
    """Return the annotations of a function or a class, as text."""
    return [[name, _text(annotation)] for name, annotation in sorted(signatures.annotations_of(code).items())]


def _text(annotation: Any) -> str:
    if type(annotation) is type:
        return f"{annotation.__module__}.{annotation.__qualname__}"
    return annotation if isinstance(annotation, str) else re.sub(r" at 0x[0-9a-f]+", "", repr(annotation))


def _counts(cls: type, name: str, members: Mapping[str, Any]) -> bool:
    if name in _DERIVED or name.startswith(_DERIVED_PREFIXES) or name in members:
        return False
    # What the metaclass of enumerations keeps: the members again, in several ways.
    return not (issubclass(cls, enum.Enum) and name.startswith("_") and not isinstance(vars(cls)[name], FunctionType))


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _attribute(forms: ListedForms, cls: type, name: str, held: Any) -> Form:
    if not _is_dunder(name):
        return forms.value(held, f"the class {cls.__qualname__!r} has the attribute {name!r}")
    try:
        return forms.inner(held)
    except NotCanonicalError:  # what Python or a package keeps there for itself
        return None


def _fields(cls: type) -> dict[str, Any]:
    """Return what is kept of the fields that a package made a class of."""
    own = vars(cls)
    dataclass, attrs = own.get("__dataclass_fields__", {}), own.get("__attrs_attrs__", ())
    found: dict[str, Any] = {
        **{name: [getattr(field, each, None) for each in _FIELD] for name, field in dataclass.items()},
        **{field.name: [getattr(field, each, None) for each in _ATTRS_FIELD] for field in attrs},
    }
    if "__pydantic_fields__" in own:
        private = own.get("__private_attributes__") or {}
        found.update({**own["__pydantic_fields__"], **_validators(own["__pydantic_decorators__"]), **private})
    return found


def _validators(found: Any) -> dict[str, Any]:
    """Return the options of the validators of a pydantic model; without its address, which is among them."""
    kinds = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    return {
        f"{kind}.{name}": getattr(each, "info", None)
        for kind, decorated in kinds.items()
        if isinstance(decorated, Mapping)
        for name, each in decorated.items()
    }
