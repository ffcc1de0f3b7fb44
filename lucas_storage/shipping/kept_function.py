"""The function of a shim as records keep it: its source, to be read, and its pickle, to be run.

The pickle is that of the shim, so what it is unpickled to is called as the decorated function is. Functions of the user
that it reaches by name are in it by value, wherever they are defined: a module may be another one by then.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Final, Protocol

from lucas_storage.containers import walked
from lucas_storage.records.recorded_values import says_secret
from lucas_storage.steps.module_origin import loaded_origin

from .function_pickler import FunctionPickler
from .source_lines import Block, blocks_behind, blocks_of

_MOST: Final = 8 << 20
"""Bytes of a pickle that is kept: a function that holds a large table would be stored again with each version."""


_HOLDING: Final = (str, bytes, list, tuple, dict)
"""Types of secrets; a number or a function is none, whatever its name says."""


class PicklableShim(Protocol):
    """The parts of a shim of which a pickle is made."""

    __wrapped__: Any

    def pack(self, pickler: type[FunctionPickler], file: io.BytesIO) -> bytes:
        """Return the pickle of the function, made anew."""

    def reduced(self, packed: bytes) -> tuple[Any, ...]:
        """Return what the pickle of the shim consists of."""


class KeptFunction:
    """The function of a shim, for records. Safe to share between threads.

    Args:
        shim: The decorated function.
    """

    def __init__(self, shim: PicklableShim) -> None:
        self._shim = shim

    def source(self) -> str:
        """Return the source of the function and of those that travel with it, each below its file and first line."""
        code = self._shim.__wrapped__.__code__
        try:
            blocks = blocks_behind(self._pack())
        except Exception:  # noqa: BLE001  # what cannot be pickled can be read
            blocks = blocks_of([code])
        # The function itself before those that it calls.
        ordered = sorted(blocks, key=lambda block: not _has(block, code))
        return "\n".join(f"# {name}, line {first}\n{text}" for name, first, text in ordered)

    def pickled(self) -> bytes:
        """Return the pickle of the shim.

        Raises:
            Exception: It cannot be pickled, is larger than 8 MiB, or names variables that may be secret.
        """
        return pickle.dumps(_Reduced(self._shim.reduced(self._pack())), protocol=5)

    def _pack(self) -> bytes:
        # Made anew each time: what the function reaches may have changed meanwhile. Also where it came as a pickle, in
        # which nobody has looked for secrets.
        return self._shim.pack(_KeptPickler, _Limited())


class _Reduced:
    """Is pickled as something else."""

    def __init__(self, reduced: tuple[Any, ...]) -> None:
        self._reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced


class _Limited(io.BytesIO):
    """A file that takes a limited number of bytes, so that a function with much data is not pickled to the end."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > _MOST:
            raise ValueError(f"the pickle of a function is larger than {_MOST} bytes")
        return super().write(data)


class _KeptPickler(FunctionPickler):
    """Pickles all functions of the user by value, unless one names a variable that may be secret."""

    def reducer_override(self, obj: Any) -> Any:
        """Return the reduced form of an object; NotImplemented leaves it to pickle."""
        reduced = super().reducer_override(obj)
        if type(obj) is not FunctionType:
            return reduced
        if reduced is NotImplemented and loaded_origin(obj.__globals__) is None:
            reduced = self._dynamic_function_reduce(obj)
        if reduced is not NotImplemented:
            _check_no_secret(obj)
        return reduced


def _check_no_secret(function: FunctionType) -> None:
    """Raise for a function that takes a value that may be secret from its surroundings or its defaults."""
    for name, value in _variables(function):
        if (says_secret(name) and isinstance(value, _HOLDING) and value) or _holds_secret(value):
            raise ValueError(f"the function uses the variable {name!r}, which may be secret")


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    names = set(_names_in(code)) & function.__globals__.keys()
    yield from ((name, function.__globals__[name]) for name in names)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # nothing is in it yet
            yield name, cell.cell_contents
    defaults = function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _holds_secret(value: Any) -> bool:
    dicts = (each for each in walked(value) if isinstance(each, dict)) if isinstance(value, (dict, list, tuple)) else ()
    return any(
        isinstance(name, str) and says_secret(name) and isinstance(held, _HOLDING) and held
        for each in dicts
        for name, held in each.items()
    )


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _has(block: Block, code: CodeType) -> bool:
    name, first, text = block
    return name == code.co_filename and first <= code.co_firstlineno < first + text.count("\n") + 1
