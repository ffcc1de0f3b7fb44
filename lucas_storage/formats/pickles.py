"""Pickles, for values that no other format holds: decoded only with proof that the reference was signed.

One stream that describes itself::

    b"LUCASPK5"  length of the header, 8 bytes big-endian  header, JSON  pickle, protocol 5  buffers, each at a
    multiple of 64 bytes

The header says which Python wrote it, whether code travels inside, and where the buffers are, so that a reader refuses
before it unpickles anything, and arrays in the value are views of the mapped file. ``pickle5@2`` is a pickle that
refers to other artifacts, by their positions in a list of references in the header.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.limits import PICKLE_HEADER
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import demand

from .base import Encoded, Format, Source, private, stored, type_name
from .pickle_header import Header, aligned, take_apart
from .pickling import Unpickler, parts_of

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

logger = logging.getLogger(__name__)

NAME: Final = "pickle5"
_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_BY_VALUE: Final = b"cloudpickle"
"""Name of the module that rebuilds functions and classes carried as code; every pickle of one imports it."""

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

    @property
    def size(self) -> int:
        """Bytes of it, but for the references."""
        return len(self.text) + sum(map(len, self.buffers))

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
        NoFormatError: The value, or one within it, refuses to be pickled, or to be made again of its pickle.
        RecursionError: It is nested too deeply.
    """
    name = type_name(value)
    text, buffers, leaves = parts_of(value, name, is_leaf)
    _log_once(name)
    return Pickled(name, text, buffers, leaves)


def _refused_file(value: Any) -> bool:
    if isinstance(value, Path):
        raise NoFormatError(
            f"a pickle would hold the path {value.name!r} and not its file; pass the Path by itself, in a list or "
            "a dict, or a PurePath if only the name is meant"
        )
    return False


def _log_once(name: str) -> None:
    # Once for each type: a run with thousands of such values would fill the log.
    if name not in _logged:
        _logged.add(name)
        logger.warning("storing values of type %s as pickles, since no other format holds them", name)


def _load(header: Header, text: memoryview, buffers: list[memoryview], leaves: list[Any]) -> Any:
    try:
        return Unpickler(text, buffers, leaves).load()  # signature, digest and version were checked
    except Exception as error:
        missing = f"; install {error.name} here" if isinstance(error, ModuleNotFoundError) else ""
        raise DecodeError(
            f"a pickled {header.type} could not be loaded here, {type(error).__name__}{missing}"
        ) from error
