"""Annotations, read once on the driver, become plans: strings and tuples that travel without the types they name.

::

    plan  = word                        any ref bytes str path binaryio ndarray table dataframe polars
          | ("optional", plan)          None, or the plan
          | ("list" | "set" | "iterator", plan)
          | ("dict", plan)              of the values; keys are str
          | ("tuple", plan, ...)        position by position
          | ("tuple*", plan)            of any length
          | ("out", format, name, plan) a result with options

Third-party types are recognised by name, never by importing them. What is not recognised is ``any``.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from .outputs import Out

Plan: TypeAlias = str | tuple[Any, ...]

ANY: Final = "any"
STORAGE: Final = "storage"
"""What a parameter annotated `Storage` or `StorageClient` reads as; never part of a shipped plan."""
RUNTIME: Final = "runtime"
"""What a parameter annotated with Lucas's `Runtime` reads as; never part of a shipped plan."""

_BUILTIN: Final = {bytes: "bytes", bytearray: "bytes", str: "str"}
_BY_NAME: Final = {
    "pathlib": {"Path": "path", "PurePath": "path", "PosixPath": "path"},
    "typing": {"BinaryIO": "binaryio"},
    "numpy": {"ndarray": "ndarray", "NDArray": "ndarray"},
    "pyarrow": {"Table": "table"},
    "pandas": {"DataFrame": "dataframe"},
    "polars": {"DataFrame": "polars"},
    "lucas_storage": {"ArtifactRef": "ref", "Storage": STORAGE, "Runtime": RUNTIME},
    "actorc": {"StorageClient": STORAGE},
    "lucas": {"Runtime": RUNTIME},
}
_ALIASES: Final = {"np": "numpy", "pa": "pyarrow", "pd": "pandas", "pl": "polars", "npt": "numpy"}
_BARE: Final = {
    **{name: word for package, names in _BY_NAME.items() if package != "polars" for name, word in names.items()},
    "bytes": "bytes",
    "bytearray": "bytes",
    "str": "str",
}
_UNIQUE: Final = {name: word for name, word in _BARE.items() if name not in ("DataFrame", "Table")}
"""Names that mean one thing whatever module they are taken from."""
_CONTAINERS: Final = {
    "list": "list",
    "sequence": "list",
    "mutablesequence": "list",
    "collection": "list",
    "set": "set",
    "frozenset": "set",
    "abstractset": "set",
    "iterator": "iterator",
    "iterable": "iterator",
    "generator": "iterator",
}
_MAPPINGS: Final = ("dict", "mapping", "mutablemapping")


def parameter_plans(function: Callable[..., Any]) -> dict[str, Plan]:
    """Return the plan of every parameter of `function`, in order.

    A parameter whose default is None may be None whatever its annotation says.
    """
    names = _namespace(function)
    plans: dict[str, Plan] = {}
    for parameter in inspect.signature(function).parameters.values():
        plan = ANY if parameter.annotation is parameter.empty else read(parameter.annotation, names)
        plans[parameter.name] = optional(plan) if parameter.default is None else plan
    return plans


def result_plan(function: Callable[..., Any]) -> Plan:
    """Return the plan of what `function` returns."""
    annotation = inspect.signature(function).return_annotation
    return ANY if annotation is inspect.Signature.empty else read(annotation, _namespace(function), results=True)


def read(annotation: object, names: Mapping[str, Any] | None = None, *, results: bool = False) -> Plan:
    """Return the plan for one annotation.

    Args:
        annotation: A type, a typing construct, or the text of one.
        names: What names in a text stand for, as far as known; the others are judged by their spelling.
        results: Whether `Out` options matter.

    Raises:
        TypeError: `Out` is given as a class, not as a call.
    """
    if isinstance(annotation, str):
        return _read_text(annotation, names or {}, results=results)
    if isinstance(annotation, typing.ForwardRef):
        return _read_text(annotation.__forward_arg__, names or {}, results=results)
    return _read_type(annotation, names or {}, results=results)


def optional(plan: Plan) -> Plan:
    """Return `plan`, or None in its place."""
    return plan if plan == ANY or plan[0] == "optional" else ("optional", plan)


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    names = dict(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=True):
        with contextlib.suppress(ValueError):  # a name that is bound only later, such as the function's own
            names[name] = cell.cell_contents
    return names


def _read_type(annotation: Any, names: Mapping[str, Any], *, results: bool) -> Plan:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        plan = read(arguments[0], names, results=results)
        return _with_options(plan, arguments[1:]) if results else plan
    if origin in (typing.Union, types.UnionType):
        plans = [read(one, names, results=results) for one in arguments]
        return _union(plans, nullable=type(None) in arguments)
    if origin is typing.IO and arguments == (bytes,):
        return "binaryio"
    if origin is not None and arguments and _leaf(origin) == ANY:
        plans = [ANY if one in (..., [], ()) else read(one, names, results=results) for one in arguments]
        return _container(getattr(origin, "__name__", ""), plans, variadic=arguments[-1] is ...)
    return _leaf(origin or annotation)


def _leaf(kind: Any) -> str:
    if isinstance(kind, type) and kind in _BUILTIN:
        return _BUILTIN[kind]
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return _BY_NAME.get(package, {}).get(getattr(kind, "__name__", ""), ANY)


def _with_options(plan: Plan, extras: tuple[Any, ...]) -> Plan:
    for extra in extras:
        if extra is Out:
            raise TypeError('Out is an option to fill in; write Out("parquet") or Out(name="features")')
        if isinstance(extra, Out):
            return ("out", extra.format, extra.name, plan)
    return plan


def _union(plans: list[Plan], *, nullable: bool) -> Plan:
    """A union of one thing and None is that thing; of several things, none can be chosen."""
    known = [plan for plan in plans if plan != ANY]
    only = known[0] if len(known) == 1 and len(plans) == 1 + nullable else ANY
    return optional(only) if nullable else only


def _container(name: str, plans: list[Plan], *, variadic: bool) -> Plan:
    name = name.lower()
    if name in _MAPPINGS and len(plans) == 2:
        return _unless_any("dict", plans[1])
    if name == "tuple" and plans:
        return ("tuple*", plans[0]) if variadic else ("tuple", *plans)
    kind = _CONTAINERS.get(name)
    if kind == "iterator" or (kind == "set" and plans):
        return (kind, plans[0])
    return _unless_any(kind, plans[0]) if kind and plans else ANY


def _unless_any(kind: str, plan: Plan) -> Plan:
    return ANY if plan == ANY else (kind, plan)


def _read_text(text: str, names: Mapping[str, Any], *, results: bool) -> Plan:
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ANY
    return _read_node(node, names, results=results)


def _read_node(node: ast.expr, names: Mapping[str, Any], *, results: bool) -> Plan:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _read_text(node.value, names, results=results)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _read_union(list(_alternatives(node)), names, results=results)
    if isinstance(node, ast.Subscript):
        return _read_subscript(node, names, results=results)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _read_name(ast.unparse(node), names, results=results)
    return ANY


def _read_name(dotted: str, names: Mapping[str, Any], *, results: bool) -> Plan:
    """Look a name up; what is unknown here, as under ``if TYPE_CHECKING``, is judged by its spelling."""
    found = _look_up(dotted, names)
    if found is not None:
        return ANY if isinstance(found, str) else _read_type(found, names, results=results)
    head, _, last = dotted.rpartition(".")
    package = head.partition(".")[0]
    known = _BY_NAME.get(_ALIASES.get(package, package), {}).get(last)
    return known or (_UNIQUE if head else _BARE).get(last, ANY)


def _look_up(dotted: str, names: Mapping[str, Any]) -> Any | None:
    head, *rest = dotted.split(".")
    found = names.get(head)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _read_subscript(node: ast.Subscript, names: Mapping[str, Any], *, results: bool) -> Plan:
    head = ast.unparse(node.value)
    last = head.rpartition(".")[2]
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if last == "Annotated":
        plan = _read_node(items[0], names, results=results)
        return _with_options(plan, tuple(_options(item, names) for item in items[1:])) if results else plan
    if last in ("Optional", "Union"):
        none = [ast.Constant(None)] if last == "Optional" else []
        return _read_union([*items, *none], names, results=results)
    leaf = _read_name(head, names, results=results)
    if leaf != ANY and isinstance(leaf, str):
        return leaf
    plans = [_read_node(item, names, results=results) for item in items]
    return _container(last, plans, variadic=isinstance(items[-1], ast.Constant) and items[-1].value is ...)


def _read_union(nodes: list[ast.expr], names: Mapping[str, Any], *, results: bool) -> Plan:
    nullable = any(_is_none(node) for node in nodes)
    return _union([_read_node(node, names, results=results) for node in nodes], nullable=nullable)


def _alternatives(node: ast.expr) -> typing.Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _options(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the `Out` that a node writes down with literals, or stands for by name."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Out":
        given = [ast.literal_eval(argument) for argument in node.args]
        return Out(*given, **{word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg})
    return _look_up(ast.unparse(node), names)
