"""What was looked at for the version of a function, so that a later call finds out cheaply whether it still holds."""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Mapping
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, Final

MISSING: Final = object()
"""Stands for a name that is not bound."""


class Watched:
    """Bindings and contents as they were seen. Filled by one thread, then read by any.

    Objects are compared by identity, and data that can change in place by its bytes.
    """

    def __init__(self) -> None:
        self._names: list[tuple[Mapping[str, Any], str, Any]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._functions: list[tuple[FunctionType, tuple[Any, ...]]] = []
        self._classes: list[tuple[type, dict[str, Any]]] = []
        self._contents: list[tuple[Any, bytes]] = []
        self._is_opaque = False

    def name(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Return what a name is bound to, `MISSING` if it is not; a later binding is another."""
        value = namespace.get(name, MISSING)
        self._names.append((namespace, name, value))
        return value

    def cell(self, cell: CellType) -> Any:
        """Return what a variable of an enclosing function holds, `MISSING` if nothing yet."""
        value = _held(cell)
        self._cells.append((cell, value))
        return value

    def function(self, function: FunctionType) -> None:
        """Note the code and the defaults of a function."""
        self._functions.append((function, (function.__code__, function.__defaults__, function.__kwdefaults__)))

    def attributes(self, cls: type) -> None:
        """Note the attributes of a class itself."""
        self._classes.append((cls, dict(vars(cls))))

    def content(self, value: Any) -> None:
        """Note data that can change in place."""
        if type(value) in _IMMUTABLE:
            return
        seen = _bytes_of(value)
        if seen is None:
            self.incomparable()
        else:
            self._contents.append((value, seen))

    def incomparable(self) -> None:
        """Note that something was looked at that cannot be compared."""
        self._is_opaque = True

    def holds(self) -> bool:
        """Return whether nothing has changed; False if something was seen that can be compared only by its form."""
        if self._is_opaque:
            return False
        # Loops, since every call asks: a generator takes several times as long for the few things that most reach.
        for namespace, name, value in self._names:
            if namespace.get(name, MISSING) is not value:
                return False
        for function, (code, defaults, named) in self._functions:
            if not (
                function.__code__ is code and function.__defaults__ is defaults and function.__kwdefaults__ is named
            ):
                return False
        return not (self._cells or self._classes or self._contents) or self._hold_rarer()

    def _hold_rarer(self) -> bool:
        return (
            all(_held(cell) is value for cell, value in self._cells)
            and all(_are_same(vars(cls), attributes) for cls, attributes in self._classes)
            and all(_bytes_of(value) == seen for value, seen in self._contents)
        )


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _are_same(now: Mapping[str, Any], then: dict[str, Any]) -> bool:
    return len(now) == len(then) and all(then.get(name, MISSING) is value for name, value in now.items())


def _bytes_of(value: Any) -> bytes | None:
    """Return bytes that differ when the data does; None if only a walk through it would show."""
    try:
        if isinstance(value, Path):
            return repr(_stamp(value)).encode()
        buffer = _bytes_of_buffer(value)
        if buffer is not None:
            return buffer
        # Without references between equal objects (version 3) and of exact types only, so that equal data has equal
        # bytes as long as nothing in it was replaced. At the speed of C.
        return hashlib.sha256(marshal.dumps(value, 2)).digest()
    except (ValueError, OSError):
        return None


def _bytes_of_buffer(value: Any) -> bytes | None:
    """Return the same for an array, without a copy of it; None if a value is none, or lies scattered in memory."""
    try:
        view = memoryview(value)
        shape = repr((view.format, view.shape)).encode()
        return shape + hashlib.sha256(view.cast("B")).digest()
    except (TypeError, ValueError, BufferError):
        return None


def _stamp(path: Path) -> tuple[int, ...]:
    found = os.stat(path)  # noqa: PTH116  # a Path of the user's own class may have another `stat`
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


_IMMUTABLE: Final[frozenset[type]] = frozenset(
    (int, float, complex, str, bytes, bool, type(None), type(...), range, type, FunctionType)
)
