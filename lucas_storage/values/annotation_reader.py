"""Reads annotations once, on the driver, into `Annotation`, which travels without the types they name.

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
from typing import Any, Final

from .annotation import (
    ANY,
    REF,
    RUNTIME,
    STORAGE,
    Annotation,
    DictOf,
    IteratorOf,
    ListOf,
    OrNone,
    Record,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    Word,
)
from .out import Out

_BUILTIN: Final = {bytes: "bytes", bytearray: "bytes", str: "str"}
_BY_NAME: Final = {
    "pathlib": {"Path": "path", "PurePath": "path", "PosixPath": "path"},
    "typing": {"BinaryIO": "binaryio"},
    "numpy": {"ndarray": "ndarray", "NDArray": "ndarray"},
    "pyarrow": {"Table": "table"},
    "pandas": {"DataFrame": "dataframe"},
    "polars": {"DataFrame": "polars"},
    "lucas_storage": {"ArtifactRef": REF.name, "Storage": STORAGE.name, "Runtime": RUNTIME.name},
    "actorc": {"StorageClient": STORAGE.name},
    "lucas": {"Runtime": RUNTIME.name},
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
_CONTAINERS: Final[dict[str, Callable[[Annotation], Annotation]]] = {
    "list": ListOf,
    "sequence": ListOf,
    "mutablesequence": ListOf,
    "collection": ListOf,
    "set": SetOf,
    "frozenset": SetOf,
    "abstractset": SetOf,
    "iterator": IteratorOf,
    "iterable": IteratorOf,
    "generator": IteratorOf,
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


def parameter_annotations(
    function: Callable[..., Any], classes: MutableMapping[str, type] | None = None
) -> dict[str, Annotation]:
    """Return the annotation of every parameter of `function`, in order.

    A parameter whose default is None may be None whatever its annotation says.

    Args:
        function: The function.
        classes: Filled with the dataclasses that annotations name.
    """
    names = _namespace(function)
    classes = {} if classes is None else classes
    found: dict[str, Annotation] = {}
    for parameter in inspect.signature(function).parameters.values():
        given = parameter.annotation
        annotation = ANY if given is parameter.empty else read(given, names, classes=classes)
        found[parameter.name] = or_none(annotation) if parameter.default is None else annotation
    return found


def result_annotation(function: Callable[..., Any]) -> Annotation:
    """Return the annotation of the result of `function`."""
    annotation = inspect.signature(function).return_annotation
    return ANY if annotation is inspect.Signature.empty else read(annotation, _namespace(function), results=True)


def read(
    annotation: object,
    names: Mapping[str, Any] | None = None,
    *,
    results: bool = False,
    classes: MutableMapping[str, type] | None = None,
) -> Annotation:
    """Return one annotation, read.

    Args:
        annotation: A type, a typing construct, or the text of one.
        names: Values of the names in a text, as far as known; the others are judged by their spelling.
        results: Whether `Out` options matter.
        classes: Filled with the dataclasses that it names; None takes dataclasses for any other class.

    Raises:
        TypeError: `Out` is given as a class, not as a call, or with options that are not known here.
    """
    return _read(annotation, _Names(names or {}, classes), results=results)


def _read(annotation: object, names: _Names, *, results: bool) -> Annotation:
    if isinstance(annotation, str):
        return _read_text(annotation, names, results=results)
    if isinstance(annotation, typing.ForwardRef):
        return _read_text(annotation.__forward_arg__, names, results=results)
    return _read_type(annotation, names, results=results)


def or_none(annotation: Annotation) -> Annotation:
    """Return the annotation of the same value, or None in its place."""
    return annotation if annotation == ANY or isinstance(annotation, OrNone) else OrNone(annotation)


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    # Variables of enclosing functions are added last, so that they hide globals, as in Python.
    names = dict(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=True):
        with contextlib.suppress(ValueError):  # a name that is bound only later, such as the function's own
            names[name] = cell.cell_contents
    return names


def _read_type(annotation: Any, names: _Names, *, results: bool) -> Annotation:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        plan = _read(arguments[0], names, results=results)
        return _with_options(plan, arguments[1:]) if results else plan
    if origin in (typing.Union, types.UnionType):
        plans = [_read(argument, names, results=results) for argument in arguments]
        return _union(plans, nullable=type(None) in arguments)
    if origin is typing.IO and arguments == (bytes,):
        return Word("binaryio")
    if origin is not None and arguments and _leaf(origin) == ANY:
        plans = [
            ANY if argument in (..., [], ()) else _read(argument, names, results=results) for argument in arguments
        ]
        return _container(getattr(origin, "__name__", ""), plans, variadic=arguments[-1] is ...)
    return _read_class(origin or annotation, names)


def _read_class(cls: Any, names: _Names) -> Annotation:
    word = _leaf(cls)
    if word != ANY or not isinstance(cls, type):
        return word
    if cls in _BARE_ITERATORS:
        return IteratorOf(ANY)
    inner = names.within(cls) if dataclasses.is_dataclass(cls) else None
    if inner is None or inner.classes is None:
        return ANY
    name = f"{cls.__module__}:{cls.__qualname__}"
    # The class stays with the function. Its name in the plan is a label: a class that data names is never imported.
    inner.classes[name] = cls
    fields = tuple((field.name, _read(field.type, inner, results=False)) for field in dataclasses.fields(cls))
    return Record("dataclass", name, fields)


def _leaf(kind: Any) -> Annotation:
    if isinstance(kind, type) and kind in _BUILTIN:
        return Word(_BUILTIN[kind])
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return Word(_BY_NAME.get(package, {}).get(getattr(kind, "__name__", ""), ANY.name))


def _with_options(member: Annotation, extras: tuple[Any, ...]) -> Annotation:
    for extra in extras:
        if extra is Out:
            raise TypeError('Out is an option to fill in; write Out("parquet") or Out(name="features")')
        if isinstance(extra, Out):
            return StoredAs(extra.format, extra.name, member)
    return member


def _union(members: list[Annotation], *, nullable: bool) -> Annotation:
    """Return the annotation of a union: of one type and None, that type or None; of several types, ``any``."""
    # A union of several types gives no single conversion, so the value is loaded in its own format.
    known = [member for member in members if member != ANY]
    only = known[0] if len(known) == 1 and len(members) == 1 + nullable else ANY
    return or_none(only) if nullable else only


def _container(name: str, members: list[Annotation], *, variadic: bool) -> Annotation:
    # In lower case, since `typing.List` and `list` are one.
    name = name.lower()
    if not members:
        return ANY
    if name in _MAPPINGS and len(members) == 2:
        return _unless_any(DictOf, members[1])
    if name == "tuple":
        return TupleOfAnyLength(members[0]) if variadic else TupleOf(tuple(members))
    kind = _CONTAINERS.get(name)
    if kind in (IteratorOf, SetOf):
        return kind(members[0])
    return _unless_any(kind, members[0]) if kind else ANY


def _unless_any(kind: Callable[[Annotation], Annotation], items: Annotation) -> Annotation:
    return ANY if items == ANY else kind(items)


def _read_text(text: str, names: _Names, *, results: bool) -> Annotation:
    # Parsed, never evaluated: an annotation may name what is not importable here, and evaluating runs its code.
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ANY
    return _read_node(node, names, results=results)


def _read_node(node: ast.expr, names: _Names, *, results: bool) -> Annotation:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _read_text(node.value, names, results=results)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _read_union(list(_alternatives(node)), names, results=results)
    if isinstance(node, ast.Subscript):
        return _read_subscript(node, names, results=results)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _read_name(ast.unparse(node), names, results=results)
    return ANY


def _read_name(dotted: str, names: _Names, *, results: bool) -> Annotation:
    """Return the annotation of a name; an unknown one, as under ``if TYPE_CHECKING``, is judged by its spelling."""
    found = _look_up(dotted, names)
    if found is not None:
        return ANY if isinstance(found, str) else _read_type(found, names, results=results)
    head, _, last = dotted.rpartition(".")
    package = head.partition(".")[0]
    known = _BY_NAME.get(_ALIASES.get(package, package), {}).get(last)
    if known is None and _CONTAINERS.get(last.lower()) is IteratorOf:
        return IteratorOf(ANY)
    return Word(known or (_UNIQUE if head else _BARE).get(last, ANY.name))


def _look_up(dotted: str, names: _Names) -> Any | None:
    head, *rest = dotted.split(".")
    found = names.get(head)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _read_subscript(node: ast.Subscript, names: _Names, *, results: bool) -> Annotation:
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
    if leaf != ANY and not isinstance(leaf, IteratorOf):
        return leaf
    plans = [_read_node(item, names, results=results) for item in items]
    return _container(last, plans, variadic=isinstance(items[-1], ast.Constant) and items[-1].value is ...)


def _read_union(nodes: list[ast.expr], names: _Names, *, results: bool) -> Annotation:
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
