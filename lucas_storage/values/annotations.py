"""Plans: annotations as strings and tuples, read once on the driver, that travel without the types they name.

::

    plan  = word                        any ref bytes str path binaryio ndarray table dataframe polars
          | ("optional", plan)          None, or the plan
          | ("list" | "set" | "iterator", plan)
          | ("dict", plan)              of the values; keys are str
          | ("tuple", plan, ...)        position by position
          | ("tuple*", plan)            of any length
          | ("dataclass", name, ((field, plan), ...))  a parameter; a class within itself is any
          | ("out", format, name, plan) a result with options

Third-party types are recognised by name, never by importing them. An annotation that is not recognised is ``any``.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from .out import Out

Plan: TypeAlias = str | tuple[Any, ...]

ANY: Final = "any"
STORAGE: Final = "storage"
"""The word for a parameter annotated `Storage` or `StorageClient`; never part of a shipped plan."""
RUNTIME: Final = "runtime"
"""The word for a parameter annotated with Lucas's `Runtime`; never part of a shipped plan."""

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
# The usual import names: the alias of an import under `if TYPE_CHECKING` does not exist at run time.
_ALIASES: Final = {"np": "numpy", "pa": "pyarrow", "pd": "pandas", "pl": "polars", "npt": "numpy"}
_BARE: Final = {
    **{name: word for package, names in _BY_NAME.items() if package != "polars" for name, word in names.items()},
    "bytes": "bytes",
    "bytearray": "bytes",
    "str": "str",
}
# pandas and polars both have a DataFrame, and many packages a Table.
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
_BARE_ITERATORS: Final = (Iterator, Iterable, Generator)
_MAPPINGS: Final = ("dict", "mapping", "mutablemapping")


class _Names:
    """The scope in which annotations are read: values by name, dataclasses found, and the dataclasses around.

    Args:
        known: Values by name.
        classes: Filled with the dataclasses found; None treats dataclasses as any other class.
    """

    def __init__(self, known: Mapping[str, Any], classes: MutableMapping[str, type] | None = None) -> None:
        self._known = known
        self.classes = classes
        self._around: tuple[type, ...] = ()

    def get(self, name: str) -> Any | None:
        """Return the value of a name, or None if it is unknown."""
        return self._known.get(name)

    def within(self, cls: type) -> _Names | None:
        """Return the scope of the body of a dataclass; None within that dataclass itself."""
        # Each class once on the way down: a class with a field of its own kind would never end.
        if self.classes is None or cls in self._around:
            return None
        module: dict[str, Any] = getattr(sys.modules.get(cls.__module__), "__dict__", {})
        inner = _Names({**self._known, **module}, self.classes)
        inner._around = (*self._around, cls)
        return inner


def parameter_plans(function: Callable[..., Any], classes: MutableMapping[str, type] | None = None) -> dict[str, Plan]:
    """Return the plan of every parameter of `function`, in order.

    A parameter whose default is None may be None whatever its annotation says.

    Args:
        function: The function.
        classes: Filled with the dataclasses that plans name.
    """
    names = _namespace(function)
    classes = {} if classes is None else classes
    plans: dict[str, Plan] = {}
    for parameter in inspect.signature(function).parameters.values():
        plan = ANY if parameter.annotation is parameter.empty else read(parameter.annotation, names, classes=classes)
        plans[parameter.name] = optional(plan) if parameter.default is None else plan
    return plans


def result_plan(function: Callable[..., Any]) -> Plan:
    """Return the plan of the result of `function`."""
    annotation = inspect.signature(function).return_annotation
    return ANY if annotation is inspect.Signature.empty else read(annotation, _namespace(function), results=True)


def read(
    annotation: object,
    names: Mapping[str, Any] | None = None,
    *,
    results: bool = False,
    classes: MutableMapping[str, type] | None = None,
) -> Plan:
    """Return the plan for one annotation.

    Args:
        annotation: A type, a typing construct, or the text of one.
        names: Values of the names in a text, as far as known; the others are judged by their spelling.
        results: Whether `Out` options matter.
        classes: Filled with the dataclasses that the plan names; None takes dataclasses for any other class.

    Raises:
        TypeError: `Out` is given as a class, not as a call, or with options that are not known here.
    """
    return _read(annotation, _Names(names or {}, classes), results=results)


def _read(annotation: object, names: _Names, *, results: bool) -> Plan:
    if isinstance(annotation, str):
        return _read_text(annotation, names, results=results)
    if isinstance(annotation, typing.ForwardRef):
        return _read_text(annotation.__forward_arg__, names, results=results)
    return _read_type(annotation, names, results=results)


def optional(plan: Plan) -> Plan:
    """Return `plan`, or None in its place."""
    return plan if plan == ANY or plan[0] == "optional" else ("optional", plan)


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    # Variables of enclosing functions are added last, so that they hide globals, as in Python.
    names = dict(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=True):
        with contextlib.suppress(ValueError):  # a name that is bound only later, such as the function's own
            names[name] = cell.cell_contents
    return names


def _read_type(annotation: Any, names: _Names, *, results: bool) -> Plan:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        plan = _read(arguments[0], names, results=results)
        return _with_options(plan, arguments[1:]) if results else plan
    if origin in (typing.Union, types.UnionType):
        plans = [_read(argument, names, results=results) for argument in arguments]
        return _union(plans, nullable=type(None) in arguments)
    if origin is typing.IO and arguments == (bytes,):
        return "binaryio"
    if origin is not None and arguments and _leaf(origin) == ANY:
        plans = [
            ANY if argument in (..., [], ()) else _read(argument, names, results=results) for argument in arguments
        ]
        return _container(getattr(origin, "__name__", ""), plans, variadic=arguments[-1] is ...)
    return _read_class(origin or annotation, names)


def _read_class(cls: Any, names: _Names) -> Plan:
    word = _leaf(cls)
    if word != ANY or not isinstance(cls, type):
        return word
    if cls in _BARE_ITERATORS:
        return ("iterator", ANY)
    inner = names.within(cls) if dataclasses.is_dataclass(cls) else None
    if inner is None or inner.classes is None:
        return ANY
    name = f"{cls.__module__}:{cls.__qualname__}"
    # The class stays with the function. Its name in the plan is a label: a class that data names is never imported.
    inner.classes[name] = cls
    fields = tuple((field.name, _read(field.type, inner, results=False)) for field in dataclasses.fields(cls))
    return ("dataclass", name, fields)


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
    """Return the plan of a union: of one type and None, the plan of that type; of several types, ``any``."""
    # A union of several types gives no single conversion, so the value is loaded in its own format.
    known = [plan for plan in plans if plan != ANY]
    only = known[0] if len(known) == 1 and len(plans) == 1 + nullable else ANY
    return optional(only) if nullable else only


def _container(name: str, plans: list[Plan], *, variadic: bool) -> Plan:
    # In lower case, since `typing.List` and `list` are one.
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


def _read_text(text: str, names: _Names, *, results: bool) -> Plan:
    # Parsed, never evaluated: an annotation may name what is not importable here, and evaluating runs its code.
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ANY
    return _read_node(node, names, results=results)


def _read_node(node: ast.expr, names: _Names, *, results: bool) -> Plan:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _read_text(node.value, names, results=results)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _read_union(list(_alternatives(node)), names, results=results)
    if isinstance(node, ast.Subscript):
        return _read_subscript(node, names, results=results)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _read_name(ast.unparse(node), names, results=results)
    return ANY


def _read_name(dotted: str, names: _Names, *, results: bool) -> Plan:
    """Return the plan for a name; an unknown one, as under ``if TYPE_CHECKING``, is judged by its spelling."""
    found = _look_up(dotted, names)
    if found is not None:
        return ANY if isinstance(found, str) else _read_type(found, names, results=results)
    head, _, last = dotted.rpartition(".")
    package = head.partition(".")[0]
    known: Plan | None = _BY_NAME.get(_ALIASES.get(package, package), {}).get(last)
    if known is None and _CONTAINERS.get(last.lower()) == "iterator":
        known = ("iterator", ANY)
    return known or (_UNIQUE if head else _BARE).get(last, ANY)


def _look_up(dotted: str, names: _Names) -> Any | None:
    head, *rest = dotted.split(".")
    found = names.get(head)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _read_subscript(node: ast.Subscript, names: _Names, *, results: bool) -> Plan:
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
    # A type with parameters of its own, such as `np.ndarray[...]`, whose parameters do not matter here.
    if leaf != ANY and leaf[0] != "iterator":
        return leaf
    plans = [_read_node(item, names, results=results) for item in items]
    return _container(last, plans, variadic=isinstance(items[-1], ast.Constant) and items[-1].value is ...)


def _read_union(nodes: list[ast.expr], names: _Names, *, results: bool) -> Plan:
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


def _options(node: ast.expr, names: _Names) -> Any:
    """Return the `Out` that a node spells with literals, or names."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Out":
        given = [_option(argument, names) for argument in node.args]
        return Out(*given, **{word.arg: _option(word.value, names) for word in node.keywords if word.arg})
    return _look_up(ast.unparse(node), names)


def _option(node: ast.expr, names: _Names) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        found = _look_up(ast.unparse(node), names) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if found is None:
        raise TypeError(f"Out is given {ast.unparse(node)}, which is not known here; write the text itself")
    return found
