"""Objects pickled and made again, with leaves and large buffers outside of the pickle."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from lucas_storage.errors import NoFormatError, StorageError
from lucas_storage.refs import ArtifactRef

from .base import package, type_name
from .pickle_reducers import Reducers

_IN_BAND: Final = 4096
"""Bytes below which a buffer stays within the pickle."""


def parts_of(value: Any, name: str, is_leaf: Callable[[Any], bool]) -> tuple[bytes, list[memoryview], list[Any]]:
    """Return the pickle of a value, its large buffers, and the leaves in it, which stand outside of the pickle.

    Args:
        value: The value.
        name: Of its class, for errors.
        is_leaf: Returns whether a value within it is a leaf.

    Raises:
        NoFormatError: The value, or one within it, refuses to be pickled, or to be made again of its pickle.
        RecursionError: It is nested too deeply.
    """
    buffers: list[memoryview] = []
    leaves: dict[int, tuple[int, Any]] = {}
    text, taken = _dump(value, buffers, name, partial(_place, leaves, is_leaf, value))
    _check_read_back(value, taken)
    return text, buffers, [leaf for _, leaf in leaves.values()]


def copied(value: Any) -> Any:
    """Return a copy of an object, as it would arrive in another process.

    Raises:
        NoFormatError: The value, or one within it, refuses to be pickled.
        Exception: What its class raises when it is made again.
    """
    buffers: list[memoryview] = []
    text, _ = _dump(value, buffers, type_name(value), lambda _: None)
    return _loaded(text, buffers, [])


def _loaded(text: bytes, buffers: Sequence[memoryview], leaves: list[Any]) -> Any:
    return Unpickler(memoryview(text), [memoryview(bytearray(buffer)) for buffer in buffers], leaves).load()


def _check_read_back(value: Any, taken: Reducers) -> None:
    """Check that a value, which was pickled, can be read back."""
    if not taken.own:
        return
    found = _why_unreadable(value, taken)
    # The class that is to blame, which may be within many others. An exception may come back as another one.
    inner = [one for one in taken.own.values() if one is not value and (found or isinstance(one, BaseException))]
    told = ((one, _why_unreadable(one, taken)) for one in inner)
    blamed, reason = next(((one, why) for one, why in told if why), (value, found))
    if reason is not None:
        raise NoFormatError(
            f"a value of type {type_name(blamed)} can be pickled and not be read back, {reason}; give it a __reduce__ "
            "that names what its constructor takes, mend its __setstate__, or give its class a format with "
            "register_format"
        )


def _why_unreadable(value: Any, taken: Reducers) -> str | None:
    """Return why a value cannot be made again of its pickle, or None."""
    buffers: list[memoryview] = []
    shared: dict[int, tuple[int, Any]] = {}
    try:
        # Of this process, and about to leave it: nothing of a stranger's is unpickled. Classes, functions and files
        # are not made again, so that reading defines none of them anew here.
        is_shared = partial(_is_never_remade, taken.foreign)
        text, _ = _dump(value, buffers, type_name(value), partial(_place, shared, is_shared, None))
    except NoFormatError:
        return None
    try:
        again = _loaded(text, buffers, [one for _, one in shared.values()])
        if not isinstance(value, BaseException) or _shown(again) == _shown(value):
            return None
    except Exception as error:  # noqa: BLE001  # whatever the code of the user's raises
        return f"{type(error).__name__}: {error!s:.200}"
    return f"it would become {again!r:.100}"


def _shown(error: BaseException) -> tuple[type, str]:
    return type(error), str(error)


def _is_never_remade(foreign: set[type], value: Any) -> bool:
    return type(value) in foreign or isinstance(
        value, (type, FunctionType, BuiltinFunctionType, ModuleType, Path, ArtifactRef)
    )


def _place(leaves: dict[int, tuple[int, Any]], is_leaf: Callable[[Any], bool], root: Any, value: Any) -> int | None:
    """Return the position of a leaf among the leaves, each once; None for a value that is pickled."""
    # Values are kept with their ids, which are given again once a value is gone.
    if id(value) in leaves:
        return leaves[id(value)][0]
    if value is root or not is_leaf(value):
        return None
    leaves[id(value)] = (len(leaves), value)
    return len(leaves) - 1


def _dump(
    value: Any, buffers: list[memoryview], name: str, place: Callable[[Any], int | None]
) -> tuple[bytes, Reducers]:
    """Return the pickle of a value, and what took it apart; `place` returns where those stand that are outside."""

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        try:
            view = buffer.raw()
        except BufferError:  # not contiguous: pickle copies it into the stream, in order
            return True
        if view.nbytes >= _IN_BAND:
            buffers.append(view)
        return view.nbytes < _IN_BAND

    # cloudpickle, since classes and functions of the user's script cannot be imported by a worker.
    file = io.BytesIO()
    pickler = _pickler()(file, protocol=5, buffer_callback=keep_in_band)
    pickler.place = place
    try:
        pickler.dump(value)
    except (StorageError, RecursionError):
        raise
    except Exception as error:
        # As cloudpickle tells it.
        if isinstance(error.__context__, RecursionError):
            raise RecursionError from error
        raise NoFormatError(
            f"a value of type {name} cannot be pickled, and no other format holds it; convert it, or give its class a "
            "format with register_format"
        ) from error
    return file.getvalue(), pickler.dispatch_table


@cache
def _pickler() -> Any:
    base: Any = package("cloudpickle", "").Pickler

    class Pickler(base):  # type: ignore[misc]  # imported on first use
        place: Callable[[Any], int | None]

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.dispatch_table = Reducers(base.dispatch_table)
            super().__init__(*args, **kwargs)

        def persistent_id(self, obj: Any) -> int | None:
            return self.place(obj)

    return Pickler


class Unpickler(pickle.Unpickler):
    """Puts values into the places of the leaves."""

    def __init__(self, text: memoryview, buffers: list[memoryview], leaves: list[Any]) -> None:
        super().__init__(io.BytesIO(text), buffers=buffers)
        self._leaves = leaves

    def persistent_load(self, place: int) -> Any:
        """Return the value at a position among the leaves; called by pickle."""
        return self._leaves[place]
