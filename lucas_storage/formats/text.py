"""JSON data, text and bytes.

``json@1`` is UTF-8 JSON. A value that JSON lacks is a dict of one key that begins with ``$``, and the user's own dicts
of that shape are written as ``$dict``, so the two cannot be confused::

    {"$float": "nan"}      also inf and -inf          {"$tuple": […]}  {"$set": […]}  {"$frozenset": […]}
    {"$int": "ff…"}        hex, of very long ints     {"$dict": [[key, value], …]}   any hashable keys
    {"$text": base64}      a str with lone surrogates {"$numpy": [dtype, base64]}    a numpy scalar
    {"$artifact": uri}     an ArtifactRef
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from mmap import mmap
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.buffers import flat_view
from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import is_utf8
from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.limits import INT_BITS, JSON_DEPTH
from lucas_storage.refs import TAG, ArtifactRef, is_tagged

from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_BUFFERS: Final = (bytes, bytearray, memoryview, PickleBuffer, mmap)
_OBJECTS: Final = ("ndarray", "table", "dataframe", "polars")


def is_json(value: object) -> bool:
    """Return whether `value` is plain JSON data, which comes unchanged through any JSON engine.

    Exactly None, bool, finite float, int, str, list and dict with str keys, by type; no subclasses, no lone surrogates,
    not nested deeper than 100 levels.
    """
    try:
        return _is_plain(value, JSON_DEPTH)
    except RecursionError:
        return False


def _is_plain(value: Any, room: int) -> bool:
    kind = type(value)
    if kind is str:
        return is_utf8(value)
    if kind is float:
        return math.isfinite(value)
    if kind is int:
        return _is_short(value)
    if kind is list:
        return room > 0 and all(_is_plain(item, room - 1) for item in value)
    if kind is dict:
        keys = all(type(key) is str and is_utf8(key) for key in value)
        return keys and room > 0 and all(_is_plain(item, room - 1) for item in value.values())
    return kind is bool or value is None


def _is_short(number: int) -> bool:
    return number.bit_length() <= INT_BITS


class JsonFormat(Format):
    """JSON data, exactly, with tags for what JSON lacks; nested references stay references."""

    id = "json@1"
    content_type = "application/json"
    extension = ".json"

    def handles(self, value: object) -> bool:
        """Return whether `value` consists of JSON data and of types that have a tag."""
        if is_json(value):
            return True
        # By type first, so that a large value of another type is not walked through.
        if type(value) not in _WRITERS and not is_loaded(value, "numpy"):
            return False
        try:
            _write(value, JSON_DEPTH)
        except (NoFormatError, RecursionError):
            return False
        return True

    def encode(self, value: Any) -> Encoded:
        """Return `value` as JSON; the order of dicts is kept, sets are sorted so that equal sets have equal bytes."""
        # Plain data is written by the C encoder alone, which is far quicker, unless a key looks like a tag.
        text = _dumps(value) if is_json(value) else '{"$'
        if '{"$' in text:
            text = _with_tags(value)
        return Encoded((text.encode(),))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the value, or the stored bytes."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        data = source.read()
        try:
            text = str(data, "utf-8")
            # A hook for every dict makes parsing slow, so it is used only where a tag may be.
            hook = _read if '"$' in text else None
            # NaN and Infinity are no JSON: other readers of the artifact would refuse it.
            return json.loads(text, object_hook=hook, parse_constant=_refuse_constant)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError) as error:
            raise DecodeError("an artifact of format json@1 is not JSON as this version writes it") from error


def _with_tags(value: Any) -> str:
    try:
        return _dumps(_write(value, JSON_DEPTH))
    except RecursionError as error:
        raise _too_deep() from error


def _dumps(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _write(value: Any, room: int) -> Any:
    writer = _WRITERS.get(type(value))
    if writer is None:
        if is_loaded(value, "numpy"):
            return _write_scalar(value)
        raise not_mine("json@1", value, "convert it, or let the value decide its format")
    if room == 0:
        raise _too_deep()
    return writer(value, room - 1)


def _too_deep() -> NoFormatError:
    return NoFormatError("a value contains itself or is nested too deep for json@1; flatten it")


def _write_int(value: int, _: int) -> Any:
    return value if _is_short(value) else {"$int": f"{value:x}"}


def _write_float(value: float, _: int) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _write_text(value: str, _: int) -> Any:
    return value if is_utf8(value) else {"$text": _base64(value.encode("utf-8", "surrogatepass"))}


def _write_dict(value: dict[Any, Any], room: int) -> Any:
    # The user's own dict that looks like a tag is written as pairs, so that reading does not take it for one.
    confusing = len(value) == 1 and next(iter(value.keys())).__class__ is str and next(iter(value)).startswith("$")
    if not confusing and all(type(key) is str and is_utf8(key) for key in value):
        return {key: _write(item, room) for key, item in value.items()}
    return {"$dict": [[_write(key, room), _write(item, room)] for key, item in value.items()]}


def _write_set(tag: str) -> Callable[[Iterable[Any], int], Any]:
    return lambda value, room: {tag: sorted((_write(item, room) for item in value), key=_dumps)}


def _write_scalar(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    if dtype is None or not _is_scalar(value, dtype):
        raise not_mine("json@1", value, "convert it, or let the value decide its format")
    return {"$numpy": [dtype.str, _base64(value.tobytes())]}


def _is_scalar(value: Any, dtype: Any) -> bool:
    """Return whether `value` is a scalar, not an array, that its dtype string and bytes restore with its type."""
    if not isinstance(value, dtype.type) or dtype.kind not in "biufcmMSU" or dtype.itemsize == 0:
        return False
    # Tried, since a dtype string does not restore every scalar.
    restored = _scalar(dtype.str, value.tobytes())
    same = bool(restored == value) or bool(restored != restored)  # noqa: PLR0124  # NaN and NaT are not equal to themselves
    return type(restored) is type(value) and same


def _scalar(dtype: str, data: bytes) -> Any:
    numpy = package("numpy", "numpy")
    kind = numpy.dtype(dtype)
    # Bytes of a stranger as pointers to objects would crash the interpreter.
    if kind.hasobject:
        raise ValueError("a scalar of Python objects")
    (value,) = numpy.frombuffer(data, kind)
    return value


_WRITERS: Final[dict[type, Callable[[Any, int], Any]]] = {
    type(None): lambda value, _: value,
    bool: lambda value, _: value,
    int: _write_int,
    float: _write_float,
    str: _write_text,
    list: lambda value, room: [_write(item, room) for item in value],
    dict: _write_dict,
    tuple: lambda value, room: {"$tuple": [_write(item, room) for item in value]},
    set: _write_set("$set"),
    frozenset: _write_set("$frozenset"),
    # Without the run that made the artifact: equal data must have equal bytes, and one digest, in every run.
    ArtifactRef: lambda value, _: replace(value, run=None).to_json() if value.run else value.to_json(),
}


def _read(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    ((tag, content),) = found.items()
    if tag == TAG:
        return ArtifactRef.parse(found) if is_tagged(found) else found
    reader = _READERS.get(tag)
    return found if reader is None else reader(content)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "$int": lambda content: int(content, 16),
    "$float": lambda content: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content],
    "$text": lambda content: _unbase64(content).decode("utf-8", "surrogatepass"),
    "$tuple": lambda content: tuple(_checked_list(content)),
    "$set": lambda content: set(_checked_list(content)),
    "$frozenset": lambda content: frozenset(_checked_list(content)),
    "$dict": lambda content: dict(_checked_list(content)),
    "$numpy": lambda content: _scalar(content[0], _unbase64(content[1])),
}


def _checked_list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise TypeError("a tag of a container holds no list")
    return content


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class TextFormat(Format):
    """A str, as UTF-8; a lone surrogate is three bytes, as if UTF-8 allowed it, so that any str comes back."""

    id = "text@1"
    content_type = "text/plain; charset=utf-8"
    extension = ".txt"

    def handles(self, value: object) -> bool:
        """Return whether `value` is exactly a str."""
        return type(value) is str

    def encode(self, value: Any) -> Encoded:
        """Return the text in UTF-8."""
        if not isinstance(value, str):
            raise not_mine(self.id, value, "convert it with str()")
        return Encoded((value.encode("utf-8", "surrogatepass"),))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the text, or the stored bytes."""
        del proof
        if want in _OBJECTS:
            raise cannot_become(self.id, want, "str, bytes or Path")
        as_stored = stored(source, want)
        return _to_text(source, self.id) if as_stored is None else as_stored


class BytesFormat(Format):
    """Bytes as they are; any buffer is decoded as bytes."""

    id = "bytes@1"

    def handles(self, value: object) -> bool:
        """Return whether `value` is bytes, or a buffer without a type of its items, such as a map of a file."""
        return type(value) in _BUFFERS or (
            is_loaded(value, "pyarrow") and isinstance(value, package("pyarrow", "arrow").Buffer)
        )

    def encode(self, value: Any) -> Encoded:
        """Return the bytes of a buffer; only a memoryview with gaps is copied."""
        if type(value) is bytes:
            return Encoded((value,))
        if isinstance(value, memoryview) and not value.c_contiguous:
            value = value.tobytes()
        try:
            return Encoded((flat_view(value),))
        except TypeError as error:
            raise not_mine(self.id, value, "convert it to bytes") from error
        except InvalidParameterError as error:
            raise NoFormatError(f"{self.id} cannot hold this value, {error.message}") from error

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return bytes, text if they are UTF-8, or their file."""
        del proof
        if want in _OBJECTS:
            raise cannot_become(self.id, want, "bytes, Path or BinaryIO, and parse it")
        if want == "str":
            return _to_text(source, self.id)
        return stored(source, want if want == "path" else "bytes")


def _to_text(source: Source, format_id: str) -> str:
    data = source.read()
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DecodeError(f"an artifact of format {format_id} is not UTF-8 text; annotate bytes") from error
