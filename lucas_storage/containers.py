"""Containers: how each kind comes apart into its children, and how it is made again of other ones.

The one place that knows what holds values. Exactly the types below are containers, and classes with declared fields; a
subclass of dict or list is a class of the user, whose content belongs to its own code.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

BUILT_IN: Final = frozenset({dict, list, tuple, set, frozenset, OrderedDict, defaultdict, Counter, deque})
"""Types of containers that no class needs to be known for."""
_MAPPINGS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})
PLAIN: Final = frozenset({str, int, float, bool, type(None), bytes})
"""Types of scalars that hold nothing."""
_MAKERS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    defaultdict: lambda like, pairs: defaultdict(like.default_factory, pairs),
    Counter: lambda _, pairs: Counter(dict(pairs)),  # pairs themselves would be counted
}
_PYDANTIC: Final = {
    "__pydantic_validator__": ("__pydantic_fields__", "model_fields"),
    "__fields_set__": ("__fields__",),
}
"""Marks of models of pydantic 2 and 1, and the attributes that may hold their fields."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """A container that was taken apart."""

    children: list[Any]
    """Its values; before them, the keys of a dict if any of them is more than plain data."""
    names: Sequence[Hashable]
    """Of each child the key, the name of the field, or the position; None of a key."""
    make: Callable[[list[Any]], Any]
    """Returns a new container of this kind that holds other children in the places of these."""
    is_sequence: bool = False
    """Whether its children have no names, so that another such container can hold them."""


def apart(value: Any) -> Parts | None:
    """Return a container taken apart; None if `value` is none."""
    kind = type(value)
    if kind in _MAPPINGS:
        return _mapping(value)
    if kind is deque:
        return Parts(list(value), range(len(value)), partial(deque, maxlen=value.maxlen), is_sequence=True)
    if kind in BUILT_IN:
        return Parts(list(value), range(len(value)), kind, is_sequence=True)
    names = field_names(value)
    if names is None:
        return None
    if isinstance(value, tuple):
        return Parts(list(value), names, partial(_remade, value))
    # Fields that were never set, or deleted, stay unset.
    names = [name for name in names if hasattr(value, name)]
    return Parts([getattr(value, name) for name in names], names, partial(_refilled, value, names))


def children(value: Any) -> list[Any]:
    """Return what a container holds, keys included; nothing for other values."""
    parts = apart(value)
    return [] if parts is None else parts.children


def field_names(value: Any) -> Sequence[str] | None:
    """Return the names of the fields of an object; None if its class declares none."""
    kind = type(value)
    if isinstance(value, type):
        return None
    if isinstance(value, tuple):
        names = getattr(kind, "_fields", None)
        return names if isinstance(names, tuple) and hasattr(kind, "_make") and kind is not tuple else None
    return class_fields(kind)


def class_fields(kind: type) -> Sequence[str] | None:
    """Return the names of the fields that a dataclass, a class of attrs or a model of pydantic declares, or None."""
    # A class whose own class makes up attributes has one of every name, and of any type.
    if isinstance(getattr(kind, "__dataclass_fields__", None), dict):
        return [field.name for field in dataclasses.fields(kind)]
    # By their marks, since neither package is imported to find out that a value is none of its.
    attributes = getattr(kind, "__attrs_attrs__", None)
    if isinstance(attributes, tuple):
        return [attribute.name for attribute in attributes]
    for name in _PYDANTIC.get(_pydantic_mark(kind), ()):
        fields = getattr(kind, name, None)
        if isinstance(fields, dict):
            return list(fields)
    return None


def _pydantic_mark(kind: type) -> str:
    return next((mark for mark in _PYDANTIC if hasattr(kind, mark)), "")


def walked(value: Any) -> Iterator[Any]:
    """Yield a value, and what containers within it hold but for plain scalars, each container before its content."""
    # A loop and no recursion: data of a stranger may be nested deeper than the stack.
    pending = [value]
    while pending:
        item = pending.pop()
        yield item
        found = children(item)
        if not set(map(type, found)) <= PLAIN:
            pending.extend(reversed(found))


def holds(value: Any, kind: type) -> bool:
    """Return whether an object of exactly this class is within a value; the value must not contain itself."""
    # Level by level, so that the work for an item is done in C.
    level = [value]
    while level:
        kinds = set(map(type, level))
        if kind in kinds:
            return True
        if kinds <= PLAIN:
            return False
        level = list(chain.from_iterable(_content(item) for item in level if type(item) not in PLAIN))
    return False


def holds_beside_objects(value: Any, kind: type) -> bool:
    """Return whether an object of exactly this class is within built-in containers, which may contain themselves."""
    seen = set[int]()
    level = [value]
    while level:
        kinds = set(map(type, level))
        if kind in kinds:
            return True
        new = {id(item): item for item in level if type(item) in BUILT_IN and id(item) not in seen}
        seen |= new.keys()
        level = list(chain.from_iterable(map(_content, new.values())))
    return False


def _content(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind in _MAPPINGS:
        return chain(value, value.values())
    return value if kind in BUILT_IN else children(value)


def _mapping(value: Any) -> Parts:
    make = _MAKERS.get(type(value), lambda _, pairs: type(value)(pairs))
    keys = list(value)
    if set(map(type, keys)) <= PLAIN:
        return Parts(list(value.values()), keys, lambda values: make(value, zip(keys, values, strict=True)))
    count = len(keys)
    # Keys first, so that a reader meets them in the order in which they are written.
    return Parts(
        [*keys, *value.values()],
        [*[None] * count, *keys],
        lambda both: make(value, zip(both[:count], both[count:], strict=True)),
    )


def _remade(value: Any, fields: list[Any]) -> Any:
    new = type(value)._make(fields)
    # Of a class that was derived from a named tuple.
    attributes = getattr(value, "__dict__", None)
    if attributes:
        vars(new).update(copy.deepcopy(attributes))
    return new


def _refilled(value: Any, names: Sequence[str], fields: list[Any]) -> Any:
    new = _copied(value, names, fields)
    for name, field in zip(names, fields, strict=True):
        object.__setattr__(new, name, field)  # a frozen instance has no other way
    return new


def _copied(value: Any, names: Sequence[str], fields: list[Any]) -> Any:
    # A copy, and no constructor: it ran already, and may demand arguments that are no fields. A deep one, since an
    # object has more than its fields, such as attributes that `__post_init__` sets; fields count as copied already.
    old = [getattr(value, name) for name in names]
    done = {id(one): field for one, field in zip(old, fields, strict=True) if type(one) not in PLAIN}
    try:
        return copy.deepcopy(value, done)
    except Exception:  # noqa: BLE001  # a lock or a connection beside the fields is passed to be shared
        return copy.copy(value)
