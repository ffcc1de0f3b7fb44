"""Pickles functions by value, under the names of their files and with their source."""

from __future__ import annotations

import io
import linecache
from types import CodeType, FunctionType
from typing import Any

import cloudpickle

from actorc.signatures import settle_annotations

from .source_lines import blocks_of, with_source


class FunctionPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle is untyped
    """A cloudpickle that keeps the names of files, which cloudpickle replaces from version 3.1.3 on. For one thread.

    Every reader of pickles opens the result.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file
        self._codes: list[CodeType] = []

    def reducer_override(self, obj: Any) -> Any:
        """Return the reduced form of an object; NotImplemented leaves it to pickle."""
        if type(obj) is CodeType:
            return self._reduced(obj)
        if type(obj) is FunctionType:
            # The source of a module that was not loaded from a file is known to its loader only.
            linecache.lazycache(obj.__code__.co_filename, obj.__globals__)
            settle_annotations(obj)
        return super().reducer_override(obj)

    def packed(self) -> bytes:
        """Return the pickle, with the source of the functions in it."""
        return with_source(self._file.getvalue(), blocks_of(self._codes))

    def _reduced(self, code: CodeType) -> Any:
        self._codes.append(code)
        # cloudpickle writes another file name; it is found by making the code once, since the order of the arguments
        # differs from one version of Python to the next.
        make, arguments = self.dispatch_table[CodeType](code)
        given = make(*arguments).co_filename
        return make, tuple(code.co_filename if each == given else each for each in arguments)


def dumps(value: Any) -> bytes:
    """Pickle a value, functions and classes of the main module by value, with their source.

    Raises:
        Exception: It cannot be pickled.
    """
    pickler = FunctionPickler(io.BytesIO())
    pickler.dump(value)
    return pickler.packed()
