"""Pickles, for values that no other format holds: decoded only with proof that the reference was signed.

One stream that describes itself::

    b"LUCASPK5"  length of the header, 8 bytes big-endian  header, JSON  pickle, protocol 5  buffers, each at a
    multiple of 64 bytes

The header says which Python wrote it, whether code travels inside, and where the buffers are, so that a reader refuses
before it unpickles anything, and arrays in the value are views of the mapped file. ``pickle5@2`` is a pickle that
refers to other artifacts, by their positions in a list of references in the header.
"""

from __future__ import annotations

import copyreg
import io
import logging
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError, StorageError
from lucas_storage.limits import PICKLE_HEADER
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import demand

from .base import Encoded, Format, Source, package, private, stored, type_name
from .pickle_header import Header, aligned, take_apart

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

logger = logging.getLogger(__name__)

NAME: Final = "pickle5"
_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_IN_BAND: Final = 4096
"""Bytes below which a buffer stays within the pickle."""
_BY_VALUE: Final = b"cloudpickle"
"""Name of the module that rebuilds functions and classes carried as code; every pickle of one imports it."""

_UNCHANGING: Final[tuple[Any, ...]] = (tuple, str, bytes, int, float)
"""Built-in classes whose values are made whole by `__new__`."""

_logged: set[str] = set()


class PickleFormat(Format):
    """Any object that cloudpickle takes, with its large buffers beside the pickle rather than in it."""

    id = f"{NAME}@1"
    safe = False
    content_type = "application/x-python-pickle"
    extension = ".pkl5"

    def handles(self, value: object) -> bool:
        """Return True: only pickling itself shows which values cannot be pickled."""
        del value
        return True

    def encode(self, value: Any) -> Encoded:
        """Return the pickle and views of the value's buffers; writes a line to the log, once for each type.

        Raises:
            NoFormatError: The value refuses to be pickled, or a file is in it, of which the pickle would hold the name.
        """
        _, encoded = pickled_apart(value, _refused_file).encoded(())
        return encoded

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the object, or the stored bytes; its buffers are views of the file, and writable.

        Raises:
            UnsafeFormatError: `proof` is not from `lucas_storage.signing.verify`, or is for another artifact.
            DecodeError: Another version of Python wrote code into it, or unpickling fails.
        """
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        # Signature, digest, version, unpickle, in this order: the first before a byte is fetched, the digest by the
        # source, and all before `pickle`, which runs what it reads.
        demand(proof, self.id)
        memory = private(source)
        demand(proof, self.id, len(memory))
        header, text, buffers = take_apart(memory)
        # Before unpickling: bytecode of another version may crash the interpreter, rather than raise an error.
        if header.code and header.python != _PYTHON:
            raise DecodeError(
                f"a pickled {header.type} with code in it was written by Python {header.python} and cannot be loaded "
                f"by Python {_PYTHON}; run both steps on one version, or return plain data"
            )
        return _load(header, text, buffers, self._values(header, source))

    def _values(self, header: Header, source: Source) -> list[Any]:
        """Return the values of the references in a header."""
        del header, source
        return []


class PickleWithReferencesFormat(PickleFormat):
    """A pickle in which files, arrays and tables are references, which its header names; none is read without it."""

    id = f"{NAME}@2"

    def _values(self, header: Header, source: Source) -> list[Any]:
        # Before unpickling, so that one that is gone is told as such.
        return source.referred([(word, ArtifactRef.parse(uri)) for word, uri in header.refs])


@dataclass(frozen=True, slots=True)
class Pickled:
    """An object that was pickled, and the values in it that stand outside of the pickle."""

    type: str
    """Name of its class."""
    text: bytes
    buffers: list[memoryview]
    leaves: list[Any]
    """Values to be stored on their own, in the order of their references."""

    def encoded(self, refs: Sequence[ArtifactRef]) -> tuple[str, Encoded]:
        """Return the format and the bytes, with the references of all leaves.

        Raises:
            NoFormatError: There are too many leaves.
        """
        words = map(_word, self.leaves)
        header = Header(
            python=_PYTHON,
            code=_BY_VALUE in self.text,
            type=self.type,
            size=len(self.text),
            buffers=[len(buffer) for buffer in self.buffers],
            refs=[(word, ref.uri) for word, ref in zip(words, refs, strict=True)],
        ).encode()
        if len(header) > PICKLE_HEADER:
            raise NoFormatError(
                f"a value of type {self.type} holds {len(refs)} files, arrays and tables, too many for one pickle; "
                "return them in a list or dict"
            )
        format_id = PickleWithReferencesFormat.id if refs else PickleFormat.id
        return format_id, Encoded(tuple(aligned(header + self.text, self.buffers)), apart=True)


def _word(leaf: Any) -> str:
    """Return the word by which a leaf is loaded as what it was."""
    if isinstance(leaf, ArtifactRef):
        return "ref"
    return "path" if isinstance(leaf, Path) else "any"


def pickled_apart(value: Any, is_leaf: Callable[[Any], bool]) -> Pickled:
    """Return a value pickled, with those within it that are leaves outside; writes a line to the log for each type.

    Raises:
        NoFormatError: The value, or one within it, refuses to be pickled.
    """
    name = type_name(value)
    buffers: list[memoryview] = []
    leaves: dict[int, tuple[int, Any]] = {}
    text = _dump(value, buffers, name, partial(_place, leaves, is_leaf, value))
    _log_once(name)
    return Pickled(name, text, buffers, [leaf for _, leaf in leaves.values()])


def copied(value: Any) -> Any:
    """Return a copy of an object, as it would arrive in another process.

    Raises:
        NoFormatError: The value, or one within it, refuses to be pickled.
        Exception: What its class raises when it is made again.
    """
    buffers: list[memoryview] = []
    text = _dump(value, buffers, type_name(value), lambda _: None)
    return _Unpickler(memoryview(text), [memoryview(bytearray(buffer)) for buffer in buffers], []).load()


def _place(leaves: dict[int, tuple[int, Any]], is_leaf: Callable[[Any], bool], root: Any, value: Any) -> int | None:
    """Return the position of a leaf among the leaves, each once; None for a value that is pickled."""
    # Values are kept with their ids, which are given again once a value is gone.
    if id(value) in leaves:
        return leaves[id(value)][0]
    if value is root or not is_leaf(value):
        return None
    leaves[id(value)] = (len(leaves), value)
    return len(leaves) - 1


def _refused_file(value: Any) -> bool:
    if isinstance(value, Path):
        raise NoFormatError(
            f"a pickle would hold the path {value.name!r} and not its file; pass the Path by itself, in a list or "
            "a dict, or a PurePath if only the name is meant"
        )
    return False


def _dump(value: Any, buffers: list[memoryview], name: str, place: Callable[[Any], int | None]) -> bytes:
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
    except StorageError:
        raise
    except Exception as error:
        raise NoFormatError(
            f"a value of type {name} cannot be pickled, and no other format holds it; convert it, or give its class a "
            "format with register_format"
        ) from error
    return file.getvalue()


@cache
def _pickler() -> Any:
    base: Any = package("cloudpickle", "").Pickler

    class Pickler(base):  # type: ignore[misc]  # imported on first use
        place: Callable[[Any], int | None]
        dispatch_table = _Reducers(*base.dispatch_table.maps)

        def persistent_id(self, obj: Any) -> int | None:
            return self.place(obj)

    return Pickler


class _Reducers(ChainMap[type, Callable[[Any], Any]]):
    """What takes objects apart, by their classes."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if _is_made_by_the_user(kind):
            return _without_init
        base = next((base for base in _UNCHANGING if issubclass(kind, base)), None)
        if base is not None and _is_new_by_the_user(kind):
            return partial(_without_new, base)
        raise KeyError(kind)


def _is_made_by_the_user(kind: type) -> bool:
    """Return whether Python would make an exception of this class again by calling a constructor of the user's.

    It would pass the arguments of `BaseException`, which most such constructors do not take.
    """
    return (
        issubclass(kind, BaseException)
        and isinstance(kind.__init__, FunctionType)
        and not isinstance(kind.__new__, FunctionType)
        and kind.__reduce__ is BaseException.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
    )


def _is_new_by_the_user(kind: Any) -> bool:
    """Return whether Python would make a value of this class again by calling a `__new__` of the user's.

    It would pass the value of the built-in class, where most such functions take its parts.
    """
    return (
        isinstance(kind.__new__, FunctionType)
        and not isinstance(getattr(kind, "__getnewargs__", None), FunctionType)
        and not hasattr(kind, "__getnewargs_ex__")
        and kind.__reduce__ is object.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
    )


def _without_new(base: Any, value: Any) -> tuple[Any, ...]:
    """Return what the pickle of a value consists of, in a form that every version reads: that of protocol 1."""
    (content,) = base.__getnewargs__(value)
    return copyreg._reconstructor, (type(value), base, content), value.__getstate__()  # type: ignore[attr-defined]  # noqa: SLF001


def _without_init(error: BaseException) -> tuple[Any, ...]:
    """Return what the pickle of an exception consists of, in the form that every version reads."""
    return copyreg.__newobj__, (type(error), *error.args), vars(error) or None  # type: ignore[attr-defined]  # of the protocol


class _Unpickler(pickle.Unpickler):
    """Puts values into the places of the leaves."""

    def __init__(self, text: memoryview, buffers: list[memoryview], leaves: list[Any]) -> None:
        super().__init__(io.BytesIO(text), buffers=buffers)
        self._leaves = leaves

    def persistent_load(self, place: int) -> Any:
        return self._leaves[place]


def _log_once(name: str) -> None:
    # Once for each type: a run with thousands of such values would fill the log.
    if name not in _logged:
        _logged.add(name)
        logger.warning("storing values of type %s as pickles, since no other format holds them", name)


def _load(header: Header, text: memoryview, buffers: list[memoryview], leaves: list[Any]) -> Any:
    try:
        return _Unpickler(text, buffers, leaves).load()  # signature, digest and version were checked
    except Exception as error:
        missing = f"; install {error.name} here" if isinstance(error, ModuleNotFoundError) else ""
        raise DecodeError(
            f"a pickled {header.type} could not be loaded here, {type(error).__name__}{missing}"
        ) from error
