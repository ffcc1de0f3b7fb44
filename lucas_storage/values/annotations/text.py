"""Annotations written as text: parsed, and never evaluated, into the head and the arguments that types have."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator
from dataclasses import InitVar
from types import NoneType
from typing import Any, TypeAlias

from lucas_storage.syntax_trees import ONE_AT_A_TIME

from .names import Namespace, Spelled

Parts: TypeAlias = tuple[Any, tuple[Any, ...]]
"""The head of an annotation, such as ``list`` of ``list[int]``, and its arguments, which are annotations again."""


def parsed(text: str) -> ast.expr:
    """Return the expression that a text is; one that is no expression reads as `Any`."""
    try:
        with ONE_AT_A_TIME.held():
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ast.Name("Any")


def parts_of_type(annotation: Any) -> Parts:
    """Return the parts of a type or a typing construct."""
    if isinstance(annotation, InitVar):
        return InitVar, (annotation.type,)
    origin = typing.get_origin(annotation)
    if origin is None:
        return (NoneType if annotation is None else annotation), ()
    return origin, typing.get_args(annotation)


def parts_of_text(node: ast.expr, names: Namespace) -> Parts:  # noqa: PLR0911  # one case for each form
    """Return the parts of an annotation in text; a name that stands for a text is a head of its own."""
    match node:
        case ast.Constant(str(text)):
            return parts_of_text(parsed(text), names)
        case ast.Constant(value):
            return parts_of_type(value)
        case ast.BinOp(op=ast.BitOr()):
            return typing.Union, tuple(_alternatives(node))
        case ast.Subscript():
            return _parts_of_subscript(node, names)
        case ast.Name() | ast.Attribute():
            return parts_of_type(names.value(ast.unparse(node)))
        case ast.Starred(value):
            return typing.Unpack, (value,)
        case _:
            return Any, ()


def literal(node: Any, names: Namespace) -> Any:
    """Return the value that a node writes out, or that a name stands for; raises `LookupError` if it is unknown."""
    if not isinstance(node, ast.expr):
        return node
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _value(node, names)


def called(node: Any, names: Namespace, *, known: dict[str, type]) -> Any:
    """Return the value of one item of ``Annotated``, such as ``Out("parquet")``; None if it is not understood.

    Args:
        node: The item.
        names: Values of names.
        known: The classes that a text may call, by their names.

    Raises:
        TypeError: An argument of such a call is not known here.
    """
    if not isinstance(node, ast.expr):
        return node
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        cls = known.get(name.rpartition(".")[2]) or names.value(name)
        return _call(cls, node, names) if cls in known.values() else None
    try:
        return _value(node, names)
    except LookupError:
        return None


def _call(cls: type, node: ast.Call, names: Namespace) -> Any:
    given = [_argument(cls, argument, names) for argument in node.args]
    return cls(*given, **{word.arg: _argument(cls, word.value, names) for word in node.keywords if word.arg})


def _argument(cls: type, node: ast.expr, names: Namespace) -> Any:
    try:
        return literal(node, names)
    except LookupError as error:
        raise TypeError(
            f"{cls.__name__} is given {ast.unparse(node)}, which is not known here; write the text itself"
        ) from error


def _value(node: ast.expr, names: Namespace) -> Any:
    found = names.value(ast.unparse(node)) if isinstance(node, (ast.Name, ast.Attribute)) else Spelled("", "")
    if not isinstance(found, Spelled):
        return found
    raise LookupError(ast.unparse(node))


def _parts_of_subscript(node: ast.Subscript, names: Namespace) -> Parts:
    items = tuple(node.slice.elts) if isinstance(node.slice, ast.Tuple) else (node.slice,)
    head, own = parts_of_text(node.value, names)
    # An alias that has arguments itself, such as `Pair = tuple[T, T]`, is a head of its own: these take their places.
    return (names.value(ast.unparse(node.value)) if own else head), items


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node
