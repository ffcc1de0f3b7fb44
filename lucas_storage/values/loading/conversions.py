"""Values that JSON makes text or numbers, turned back: members of enumerations, literals, and the keys of dicts."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from lucas_storage.formats.base import type_name
from lucas_storage.values.annotations.annotation import Annotation, EnumOf, Made, OneOf, Word

_BOOLS: Final = {"true": True, "false": False, "True": True, "False": False}
_KEYS: Final[dict[str, Callable[[str], Any]]] = {"int": int, "float": float, "bool": _BOOLS.__getitem__}
"""What makes keys of the text that JSON made of them."""

_MADE: Final[dict[str, tuple[Any, tuple[type, ...]]]] = {
    "OrderedDict": (OrderedDict, (dict,)),
    "bytearray": (bytearray, (bytes,)),
    "deque": (deque, (list, tuple)),
    "frozenset": (frozenset, (set, list, tuple)),
}
"""Types with those that they are made of."""


def converted(value: Any, annotation: OneOf | EnumOf, classes: Mapping[str, type]) -> Any:
    """Return the member of an enumeration, or the literal, that a value is.

    Args:
        value: As it travelled.
        annotation: The enumeration, or the literals.
        classes: The classes that annotations name; a value whose enumeration is not among them stays as it is.

    Raises:
        TypeError: It is none of them; to follow the name of its parameter.
    """
    if isinstance(annotation, OneOf):
        return _literal(value, annotation.values)
    cls = classes.get(annotation.name)
    return value if cls is None else _member(value, cls)


def made_into(value: Any, annotation: Made) -> Any:
    """Return a value as the annotated type of the standard library; None, and a value of another kind, as it is."""
    kind, like = _MADE[annotation.type]
    return kind(value) if isinstance(value, like) and not isinstance(value, kind) else value


def rekeyed(made: dict[Any, Any], keys: Annotation, classes: Mapping[str, type]) -> dict[Any, Any]:
    """Give a dict keys of the annotated type in the place of text, and return it.

    Raises:
        TypeError: A key is not of that type, or is there twice; to follow the name of the parameter.
    """
    found = {key: _key(key, keys, classes) for key in made}
    if all(key is new for key, new in found.items()):
        return made
    items = list(made.items())
    made.clear()
    for key, value in items:
        new = found[key]
        if new in made:
            raise TypeError(f"has the key {new!r} twice, once of them as text; give it once")
        made[new] = value
    return made


def _key(key: Any, annotation: Annotation, classes: Mapping[str, type]) -> Any:
    if isinstance(annotation, OneOf | EnumOf):
        return converted(key, annotation, classes)
    if not isinstance(annotation, Word) or annotation.name not in _KEYS or type(key) is not str:
        return key
    try:
        return _KEYS[annotation.name](key)
    except (KeyError, ValueError):
        raise TypeError(
            f"is annotated with keys of type {annotation.name} and has the key {key!r}; "
            "change the annotation, or the keys that the step before it returns"
        ) from None


def _literal(value: Any, known: tuple[Any, ...]) -> Any:
    # By type, too: 1 and True are equal.
    if any(type(value) is type(one) and value == one for one in known):
        return value
    listed = ", ".join(map(repr, known))
    raise TypeError(f"is annotated Literal[{listed}] and got {_shown(value)}; give one of these")


def _member(value: Any, cls: Any) -> Any:
    if isinstance(value, cls):
        return value
    if isinstance(value, Enum):  # of a copy of the class, which was shipped apart from it
        value = value.value
    for candidate in (value, tuple(value)) if type(value) is list else (value,):
        try:
            return cls(candidate)
        except (ValueError, TypeError):
            continue
    if type(value) is str and value in cls.__members__:
        return cls[value]
    listed = ", ".join(repr(one.value) for one in cls)
    raise TypeError(f"is annotated {cls.__name__} and got {_shown(value)}; give one of its values {listed}")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int)) and len(repr(value)) < 80 else f"a {type_name(value)}"
