"""Pickles, for values that no other format holds: decoded only with proof that the reference was signed.

One stream that describes itself::

    b"LUCASPK5"  length of the header, 8 bytes big-endian  header, JSON  pickle, protocol 5  buffers, each at a
    multiple of 64 bytes

The header says which Python wrote it, whether code travels inside, and where the buffers are, so that a reader refuses
before it unpickles anything, and arrays in the value are views of the mapped file.
"""

from __future__ import annotations

import io
import json
import logging
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.limits import PICKLE_HEADER
from lucas_storage.signing import demand

from .base import Encoded, Format, Source, package, private, stored, type_name

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

logger = logging.getLogger(__name__)

_MAGIC: Final = b"LUCASPK5"
_ALIGNMENT: Final = 64
"""Bytes of a cache line, on which vector instructions are fastest."""
_IN_BAND: Final = 4096
"""Bytes below which a buffer stays within the pickle."""
_BY_VALUE: Final = b"cloudpickle"
"""Name of the module that rebuilds functions and classes carried as code; every pickle of one imports it."""

_logged: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    python: str
    """Major and minor version, such as ``3.11``."""
    code: bool
    """Whether functions or classes travel by value; their bytecode fits one minor version only."""
    type: str
    """Name of the pickled type, for messages."""
    size: int
    """Bytes of the pickle itself."""
    buffers: list[int]
    """Bytes of each."""

    def encode(self) -> bytes:
        text = json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":")).encode()
        return _MAGIC + len(text).to_bytes(8, "big") + text

    @classmethod
    def decode(cls, memory: memoryview) -> tuple[_Header, int]:
        """Return the header and the offset of its end; raises ValueError or TypeError if it is damaged."""
        if bytes(memory[:8]) != _MAGIC:
            raise ValueError("the magic is missing")
        length = int.from_bytes(memory[8:16], "big")
        if length > PICKLE_HEADER:
            raise ValueError("the header is too long")
        end = 16 + length
        fields = json.loads(bytes(memory[16:end]))
        header = cls(**{name: fields[name] for name in cls.__slots__})
        if type(header.buffers) is not list or any(
            type(size) is not int or size < 0 for size in (header.size, *header.buffers)
        ):
            raise ValueError("a size is no number")
        return header, end


class PickleFormat(Format):
    """Any object that cloudpickle takes, with its large buffers beside the pickle rather than in it."""

    id = "pickle5@1"
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
            NoFormatError: The value refuses to be pickled.
        """
        name = type_name(value)
        buffers: list[memoryview] = []
        text = _dump(value, buffers, name)
        _log_once(name)
        header = _Header(
            python=_python(),
            code=_BY_VALUE in text,
            type=name,
            size=len(text),
            buffers=[len(buffer) for buffer in buffers],
        ).encode()
        return Encoded(tuple(_aligned(header + text, buffers)), apart=True)

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
        header, text, buffers = _take_apart(memory)
        # Before unpickling: bytecode of another version may crash the interpreter, rather than raise an error.
        if header.code and header.python != _python():
            raise DecodeError(
                f"a pickled {header.type} with code in it was written by Python {header.python} and cannot be loaded "
                f"by Python {_python()}; run both steps on one version, or return plain data"
            )
        return _load(header, text, buffers)


def header_of(head: bytes) -> dict[str, str]:
    """Return the fields of the header of a pickle, from its first bytes, without unpickling anything.

    They are a claim of the process that wrote the pickle, and prove nothing.

    Raises:
        DecodeError: The bytes are not the beginning of a pickle of this format.
    """
    try:
        header, _ = _Header.decode(memoryview(head))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DecodeError("an artifact of format pickle5@1 does not begin with the header of one") from error
    return {
        "type": str(header.type),
        "python": str(header.python),
        "code": "travels inside" if header.code else "is imported",
        "buffers": f"{len(header.buffers)} of {sum(header.buffers)} bytes",
    }


def _dump(value: Any, buffers: list[memoryview], name: str) -> bytes:
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
    pickler = package("cloudpickle", "").Pickler(file, protocol=5, buffer_callback=keep_in_band)
    try:
        pickler.dump(value)
    except Exception as error:
        raise NoFormatError(
            f"a value of type {name} cannot be pickled, and no other format holds it; convert it, or give its class a "
            "format with register_format"
        ) from error
    return file.getvalue()


def _log_once(name: str) -> None:
    # Once for each type: a run with thousands of such values would fill the log.
    if name not in _logged:
        _logged.add(name)
        logger.warning("storing values of type %s as pickles, since no other format holds them", name)


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _aligned(head: bytes, buffers: list[memoryview]) -> Iterator[bytes | memoryview]:
    yield head
    end = len(head)
    for buffer in buffers:
        # Aligned in the file, so that arrays over the mapped file are aligned in memory.
        gap = -end % _ALIGNMENT
        if gap:
            yield bytes(gap)
        yield buffer
        end += gap + len(buffer)


def _take_apart(memory: memoryview) -> tuple[_Header, memoryview, list[memoryview]]:
    try:
        header, start = _Header.decode(memory)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DecodeError("an artifact of format pickle5@1 does not begin with the header of one") from error
    end = start + header.size
    buffers: list[memoryview] = []
    for size in header.buffers:
        begin = end + -end % _ALIGNMENT
        end = begin + size
        buffers.append(memory[begin:end])
    # Checked before unpickling: a header that claims other sizes was not written by `encode`.
    if end != len(memory):
        raise DecodeError("an artifact of format pickle5@1 has another length than its header says")
    return header, memory[start : start + header.size], buffers


def _load(header: _Header, text: memoryview, buffers: list[memoryview]) -> Any:
    try:
        return pickle.loads(text, buffers=buffers)  # noqa: S301  # signature, digest and version were checked
    except Exception as error:
        missing = f"; install {error.name} here" if isinstance(error, ModuleNotFoundError) else ""
        raise DecodeError(
            f"a pickled {header.type} could not be loaded here, {type(error).__name__}{missing}"
        ) from error
