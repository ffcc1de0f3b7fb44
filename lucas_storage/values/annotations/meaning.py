"""Annotations as `Annotation`: the meaning of types, of typing constructs and of what text names."""

from __future__ import annotations

import os
import typing
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from .annotation import (
    ANY,
    RUNTIME,
    STORAGE,
    Annotation,
    EnumOf,
    IteratorOf,
    Made,
    Record,
    TupleOf,
    TupleOfAnyLength,
    Word,
)
from .classes import fields_of, record_kind
from .constructs import construct, unpacked
from .forms import ASYNC_ITERATORS, MAPPINGS, has_items, mapping, of_items, union
from .names import word_of
from .refusals import refusal
from .scope import Scope
from .text import parts_of_type

_SCALARS: Final = (int, float, bool)
_MADE: Final[dict[type, tuple[Any, type]]] = {
    OrderedDict: ("OrderedDict", dict),
    bytearray: ("bytearray", bytes),
    deque: ("deque", list),
    frozenset: ("frozenset", set),
}
"""Types that are made of another one, in which their values may travel."""


def read_in(scope: Scope, annotation: Any) -> Annotation:
    """Return an annotation, read: a type, a typing construct, or the text of one.

    Raises:
        RefusedError: No value arrives as it.
    """
    if isinstance(annotation, typing.ForwardRef):
        names = scope.names.of_module(annotation.__forward_module__)
        return read_in(replace(scope, names=names), annotation.__forward_arg__)
    if getattr(annotation, "__unpacked__", False):
        return unpacked(scope)
    head, args = scope.parts(annotation)
    if isinstance(head, typing.TypeVar):
        return _variable(scope, head)
    if _is_alias(head):
        return _alias(scope, head, args)
    form = construct(head)
    return form(scope, args, read_in) if form else _class(scope, head, args)


def _class(scope: Scope, head: Any, args: tuple[Any, ...]) -> Annotation:
    made = None if scope.is_result else _MADE.get(head) if isinstance(head, type) else None
    if made is not None:
        return Made(made[0], _class(scope, made[1], args))
    word = word_of(head)
    if word is not None and not (head is os.PathLike and args and scope.parts(args[0])[0] is bytes):
        return _word(scope, word)
    if not isinstance(head, type):
        return ANY
    if head in ASYNC_ITERATORS and scope.is_result:
        return IteratorOf(_item(scope, args[:1]))
    refused = None if scope.is_result else refusal(head)
    if refused:
        return scope.refuse(*refused)
    return _container(scope, head, args) or _scalar(scope, head) or _object(scope, head, args)


def _word(scope: Scope, word: Word) -> Annotation:
    if word in (STORAGE, RUNTIME) and (scope.is_inner or scope.is_result):
        return (
            ANY
            if scope.is_result
            else scope.refuse(
                " within another type, and only a parameter of its own is filled in", "take it as a parameter"
            )
        )
    return word


def _container(scope: Scope, head: Any, args: tuple[Any, ...]) -> Annotation | None:
    if head is tuple:
        return _tuple(scope, args)
    if head in MAPPINGS:
        keys, values = args if len(args) == 2 else (Any, Any)
        return mapping(_item(scope, (values,)), ANY if scope.is_result else _item(replace(scope, is_key=True), (keys,)))
    return of_items(head, _item(scope, args[:1])) if has_items(head) else None


def _tuple(scope: Scope, args: tuple[Any, ...]) -> Annotation:
    if not args:
        return TupleOfAnyLength(ANY)
    if len(args) == 2 and scope.parts(args[1])[0] is ...:
        return TupleOfAnyLength(_item(scope, args[:1]))
    return TupleOf(tuple(_item(scope, (arg,)) for arg in args))


def _item(scope: Scope, args: tuple[Any, ...]) -> Annotation:
    return read_in(replace(scope, is_inner=True), args[0]) if args else ANY


def _scalar(scope: Scope, cls: type) -> Annotation | None:
    return Word(cls.__name__) if scope.is_key and cls in _SCALARS else None


def _object(scope: Scope, cls: type, args: tuple[Any, ...]) -> Annotation:
    if issubclass(cls, Enum):
        return EnumOf(scope.label(cls)) if cls.__members__ else ANY
    kind = record_kind(cls)
    if kind is None or cls in scope.around:
        return ANY
    # The class stays with the function. Its name here is a label: a class that data names is never imported.
    label = scope.label(cls)
    variables = {**scope.variables, **dict(_substituted(scope, cls, args))}
    body = replace(scope, around=(*scope.around, cls), variables=variables, is_field=True, is_key=False)
    fields = tuple(
        (item.name, read_in(replace(body, names=body.names.of_module(item.owner.__module__)), item.annotation))
        for item in fields_of(cls, kind)
    )
    return Record(kind, label, fields)


def _substituted(scope: Scope, cls: Any, args: tuple[Any, ...]) -> Iterator[tuple[Any, Annotation]]:
    """Yield the type variables of a class, and of the generic classes that it is derived from, with their meanings."""
    own = dict(zip(getattr(cls, "__parameters__", ()), (read_in(scope, arg) for arg in args), strict=False))
    yield from own.items()
    inner = replace(scope, variables={**scope.variables, **own})
    for base in getattr(cls, "__orig_bases__", ()):
        origin, given = parts_of_type(base)
        if origin is not typing.Generic and given:
            yield from _substituted(inner, origin, given)


def _variable(scope: Scope, variable: typing.TypeVar) -> Annotation:
    if variable in scope.variables:
        return scope.variables[variable]
    if variable.__constraints__:
        return union([read_in(scope, one) for one in variable.__constraints__], nullable=False)
    return ANY if variable.__bound__ is None else read_in(scope, variable.__bound__)


def _is_alias(head: Any) -> bool:
    """Return whether a head stands for another annotation: a name for a text, a new type, or an alias."""
    # By attributes and names, since the classes of aliases differ between Python and its backports.
    kind = type(head).__name__
    return isinstance(head, str) or kind in ("NewType", "TypeAliasType") or typing.get_origin(head) is not None


def _alias(scope: Scope, head: Any, args: tuple[Any, ...]) -> Annotation:
    if head in scope.around:
        return ANY
    variables: tuple[Any, ...] = getattr(head, "__parameters__", ())
    meanings = dict(zip(variables, (read_in(scope, arg) for arg in args), strict=False))
    inner = replace(scope, around=(*scope.around, head), variables={**scope.variables, **meanings})
    if type(head).__name__ == "NewType":
        return read_in(inner, head.__supertype__)
    try:
        target = head.__value__ if type(head).__name__ == "TypeAliasType" else head
    except NameError:  # it names what is imported for type checking alone
        return ANY
    return read_in(inner, target)
