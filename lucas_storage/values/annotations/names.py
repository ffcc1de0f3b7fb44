"""Names in annotations: their values where they are known, and the types that spelling alone tells.

Nothing is imported and no text is evaluated: an annotation may name a package that is not installed here.
"""

from __future__ import annotations

import ast
import builtins
import collections
import collections.abc
import contextlib
import importlib.util
import inspect
import io
import os
import pathlib
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

from lucas_storage.syntax_trees import ONE_AT_A_TIME

from .annotation import BYTES, PATH, REF, RUNTIME, STORAGE, STR, Word

_BINARY: Final = Word("binaryio")
_TEXT: Final = Word("textio")
_WORDS: Final[dict[str, dict[str, Word]]] = {
    "builtins": {"bytes": BYTES, "bytearray": BYTES, "str": STR},
    "pathlib": dict.fromkeys(("Path", "PurePath", "PosixPath"), PATH),
    "os": {"PathLike": PATH},
    "typing": {"BinaryIO": _BINARY, "TextIO": _TEXT},
    "_io": {**dict.fromkeys(("BufferedReader",), _BINARY), "TextIOWrapper": _TEXT},
    "io": {
        **dict.fromkeys(("IOBase", "RawIOBase", "BufferedIOBase", "BufferedReader"), _BINARY),
        **dict.fromkeys(("TextIOBase", "TextIOWrapper"), _TEXT),
    },
    "numpy": dict.fromkeys(("ndarray", "NDArray"), Word("ndarray")),
    "pyarrow": {"Table": Word("table"), "Dataset": Word("dataset")},
    "pandas": {"DataFrame": Word("dataframe")},
    "polars": {"DataFrame": Word("polars"), "LazyFrame": Word("lazyframe")},
    "lucas_storage": {"ArtifactRef": REF, "Storage": STORAGE, "Runtime": RUNTIME},
    "actorc": {"StorageClient": STORAGE},
    "lucas": {"Runtime": RUNTIME},
}
"""Types with a word of their own, by the package and the name of their class."""
_ALIASES: Final = {"np": "numpy", "npt": "numpy", "pa": "pyarrow", "ds": "pyarrow", "pd": "pandas", "pl": "polars"}
"""The usual import names, for a module whose source cannot be read."""
_PACKAGES_OF_BARE_NAMES: Final = {
    "ndarray": "numpy",
    "NDArray": "numpy",
    "Table": "pyarrow",
    "DataFrame": "pandas",
    "LazyFrame": "polars",
    "ArtifactRef": "lucas_storage",
    "Storage": "lucas_storage",
    "StorageClient": "actorc",
    "Runtime": "lucas_storage",
}
_AMBIGUOUS: Final = frozenset({"DataFrame", "Table"})
"""Names that many packages have; taken from an unknown module, they are none of ours."""
_STANDARD: Final[dict[str, Any]] = {
    **{name: getattr(typing, name) for name in typing.__all__},
    **{name: getattr(collections.abc, name) for name in collections.abc.__all__},
    **{name: value for name, value in vars(builtins).items() if isinstance(value, type)},
    **{name: getattr(collections, name) for name in ("OrderedDict", "defaultdict", "deque")},
    **{name: getattr(io, name) for name in ("BufferedReader", "BytesIO", "RawIOBase", "StringIO")},
    "NotRequired": typing.NotRequired,
    "Path": pathlib.Path,
    "PathLike": os.PathLike,
    "PurePath": pathlib.PurePath,
}
"""Names of the standard library that are understood without an import."""
_STANDARD_PACKAGES: Final = frozenset(
    {"builtins", "collections", "io", "os", "pathlib", "t", "typing", "typing_extensions"}
)
_UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True)
class Spelled:
    """A name that has no value here."""

    package: str
    name: str


class Namespace:
    """The names that an annotation may use.

    Args:
        known: Values by name.
        module: Name of the module whose imports for type checking are looked up, too.
    """

    def __init__(self, known: Mapping[str, Any], module: str | None = None) -> None:
        self._known = known
        self._module = module

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> Namespace:
        """Return the names that the annotations of a function may use."""
        # Variables of enclosing functions are added last, so that they hide globals, as in Python.
        known = {**getattr(function, "__globals__", {}), **_variables_around(function)}
        variables = getattr(getattr(function, "__code__", None), "co_freevars", ())
        for name, cell in zip(variables, getattr(function, "__closure__", None) or (), strict=True):
            with contextlib.suppress(ValueError):  # a name that is bound only later, such as the function's own
                known[name] = cell.cell_contents
        return cls(known, getattr(function, "__module__", None))

    def of_module(self, module: str | None) -> Namespace:
        """Return the names of a module and those here; these alone if there is no such module."""
        loaded = sys.modules.get(module or "")
        return Namespace({**self._known, **vars(loaded)}, module) if loaded else self

    def value(self, dotted: str) -> Any:
        """Return the value of a name with dots, or a `Spelled` if it has none here."""
        head, *rest = dotted.split(".")
        found = _attribute(self._known.get(head, _UNKNOWN), rest)
        # None, too, is what is left of an optional import that failed.
        if found is not None and found is not _UNKNOWN:
            return found
        origin = _imports_for_type_checking(_source(self._module)).get(head)
        if origin is not None:
            return _loaded(".".join([_absolute(origin, self._module), *rest]))
        return _spelled(dotted)


def word_of(kind: Any) -> Word | None:
    """Return the word for a class or a spelled name; None if it has none."""
    if isinstance(kind, Spelled):
        return _WORDS.get(kind.package, {}).get(kind.name)
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return _WORDS.get(package, {}).get(getattr(kind, "__name__", ""))


def _spelled(dotted: str) -> Any:
    """Return the meaning of a name about which nothing is known but its spelling."""
    head, _, last = dotted.rpartition(".")
    package = head.partition(".")[0]
    package = _ALIASES.get(package, package)
    if last in _STANDARD and (not head or package in _STANDARD_PACKAGES or last in ("Path", "BinaryIO")):
        return _STANDARD[last]
    if last in _WORDS.get(package, {}) or (head and last in _AMBIGUOUS):
        return Spelled(package, last)
    return Spelled(_PACKAGES_OF_BARE_NAMES.get(last, package), last)


def _attribute(value: Any, names: list[str]) -> Any:
    for name in names:
        value = getattr(value, name, _UNKNOWN)
    return value


def _loaded(dotted: str) -> Any:
    """Return the value of an absolute name whose module is imported already; else the name as it is spelled."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is not None:
            found = _attribute(module, parts[length:])
            if found is not _UNKNOWN:
                return found
    package, name = parts[0], parts[-1]
    return _STANDARD[name] if package in _STANDARD_PACKAGES and name in _STANDARD else Spelled(package, name)


def _absolute(origin: str, module: str | None) -> str:
    if not origin.startswith("."):
        return origin
    package = getattr(sys.modules.get(module or ""), "__package__", None)
    return importlib.util.resolve_name(origin, package) if package else origin.lstrip(".")


def _variables_around(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the variables of the function that defines another one and is decorating it.

    A text may name a class that is local there, and the function does not close over it.
    """
    code = getattr(function, "__code__", None)
    frame = inspect.currentframe()
    while frame is not None:
        inside = f"{frame.f_code.co_qualname}.<locals>."
        if code is not None and code.co_qualname.startswith(inside) and frame.f_globals is function.__globals__:
            return frame.f_locals
        frame = frame.f_back
    return {}


def _source(module: str | None) -> str:
    loaded = sys.modules.get(module or "")
    try:
        return inspect.getsource(loaded) if isinstance(loaded, ModuleType) else ""
    except (OSError, TypeError):  # a notebook, or a module of another language
        return ""


@lru_cache(maxsize=8)
def _imports_for_type_checking(source: str) -> dict[str, str]:
    """Return the names that a module imports under ``if TYPE_CHECKING``, with what they stand for."""
    if "TYPE_CHECKING" not in source:
        return {}
    with ONE_AT_A_TIME.held():
        tree = ast.parse(source)
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    guarded = [block for block in blocks if ast.unparse(block.test).rpartition(".")[2] == "TYPE_CHECKING"]
    return dict(name for block in guarded for node in block.body for name in _imported(node))


def _imported(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
    elif isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "")
        for alias in node.names:
            yield alias.asname or alias.name, f"{source}{'' if source.endswith('.') else '.'}{alias.name}"
