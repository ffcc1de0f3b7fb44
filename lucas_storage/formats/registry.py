"""The formats that are known here: the choice of one for a value, and the registration of further ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

from lucas_storage.errors import NoFormatError, UnknownFormatError

from .arrays import NpyFormat
from .base import Format, type_name
from .codec_adapter import RegisteredFormat
from .composite import StreamFormat, TreeFormat
from .images import PngFormat
from .installed_formats import load_installed
from .json_data.json_format import Json2Format, JsonFormat
from .pickles import PickleFormat, PickleWithReferencesFormat
from .sparse import SparseFormat
from .tables import ArrowFormat, ParquetFormat, lazy_tables
from .tensors import SafetensorsFormat
from .text import BytearrayFormat, BytesFormat, TextFormat
from .typed_arrays import ArrayFormat

C = TypeVar("C", bound=type)

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}/[a-z0-9][a-z0-9._-]{0,62}@[1-9][0-9]{0,5}")

_PICKLE: Final = PickleFormat()
_BUILT_IN: Final[tuple[Format, ...]] = (
    TextFormat(),
    # Before data, each format of which asks of an array whether it is a scalar of numpy.
    NpyFormat(),
    JsonFormat(),
    BytesFormat(),
    BytearrayFormat(),
    ArrayFormat(),
    Json2Format(),
    ArrowFormat(),
    PngFormat(),
    SparseFormat(),
    SafetensorsFormat(),
)
"""In the order in which they are asked for a value without a requested format."""
_FORMATS: Final[dict[str, Format]] = {
    built_in.id: built_in
    for built_in in (
        *_BUILT_IN,
        ParquetFormat(),
        TreeFormat(),
        StreamFormat(),
        _PICKLE,
        PickleWithReferencesFormat(),
    )
}
_BY_TYPE: Final[dict[type, Format]] = {}


def format_by_id(format_id: str) -> Format:
    """Return the format that a reference names.

    Raises:
        UnknownFormatError: It is neither built in nor registered, and no installed package brings it.
    """
    if format_id not in _FORMATS:
        load_installed(lambda name: name == format_id, _FORMATS)
    try:
        return _FORMATS[format_id]
    except KeyError:
        raise UnknownFormatError(
            f"format {format_id} is not installed here; install the package that registers it, or upgrade lucas-storage"
        ) from None


def format_for(value: object, requested: str | None = None) -> Format:
    """Return the format to store `value` in.

    Args:
        value: Nothing is imported for it that is not loaded already, but pyarrow for a DataFrame.
        requested: A format id such as ``parquet@1``, or its name without the version, which takes the newest, or an
            older one that the newest only adds to, if that holds the value.
            None lets the type of the value decide; a value that no other format holds is pickled, and the caller must
            sign its reference with `lucas_storage.signing`.

    Raises:
        UnknownFormatError: No such format is installed here. Whether a requested one holds the value is checked
            by its `encode`.
        MissingDependencyError: The value is a DataFrame, and pyarrow is not installed.
        NoFormatError: The value is a plan to read a table, and no table.
    """
    if requested is not None:
        return _requested(requested, value)
    found = _BY_TYPE.get(type(value)) or next((fmt for fmt in _BUILT_IN if fmt.handles(value)), None)
    if found is None:  # only now: importing the packages of others costs time, and may fail
        _load_all()
    return found or _BY_TYPE.get(type(value)) or _pickle(value)


def _pickle(value: object) -> Format:
    remedy = lazy_tables.remedy(value)
    if remedy is not None:
        raise NoFormatError(
            f"a {type_name(value)} is a plan, which may name files of this machine, and no table; return {remedy}"
        )
    return _PICKLE


def why_pickled(value: object) -> str | None:
    """Return the part that the format of a value's kind does not hold, as in ``arrow@1 cannot hold column 'a'``."""
    parts = ((fmt.id, fmt.part_not_held(value)) for fmt in _BUILT_IN)
    return next((f"{format_id} cannot hold {part}" for format_id, part in parts if part), None)


def register_format(format_id: str, *types: type, safe: bool) -> Callable[[C], C]:
    """Register the decorated class as the format of `types`, exactly these and not their subclasses.

    The class is instantiated without arguments and has two methods: ``encode(value)``, which returns bytes, a buffer or
    an iterable of buffers, and ``decode(source, want)``, which returns the value from ``source.read()`` or
    ``source.path()``; `want` is a word such as ``ndarray`` or ``any``. ``content_type`` and ``extension`` are optional.

    Args:
        format_id: A name with its owner and version, such as ``acme/graph@2``. It is kept in references for ever: a
            changed encoding needs a new number.
        types: The classes it holds.
        safe: Whether decoding never runs code from the bytes. If False, only signed references are read.

    Raises:
        ValueError: The id has another form, or is taken by another class.
    """
    if not _ID.fullmatch(format_id):
        raise ValueError(f"{format_id!r} is no format id; write owner/name@version, such as acme/graph@2")

    def register(cls: C) -> C:
        # The same class may register twice, as when a notebook cell is run again.
        taken = _FORMATS.get(format_id)
        if isinstance(taken, RegisteredFormat) and taken.origin != (cls.__module__, cls.__qualname__):
            raise ValueError(f"the format id {format_id} is taken by {'.'.join(taken.origin)}; choose another name")
        registered = RegisteredFormat(format_id, cls, types, safe=safe)
        _FORMATS[format_id] = registered
        _BY_TYPE.update(dict.fromkeys(types, registered))
        return cls

    return register


register_format.__module__ = "lucas_storage.formats"  # where processes of any version find it


def is_registered(kind: type) -> bool:
    """Return whether a format was registered for a type, which then goes before those that are built in."""
    return kind in _BY_TYPE


def _requested(requested: str, value: object) -> Format:
    if "@" in requested:
        return format_by_id(requested)
    found = _versions(requested)
    if not found:
        load_installed(lambda name: name.partition("@")[0] == requested, _FORMATS)
        found = _versions(requested)
    if not found:
        known = ", ".join(sorted({format_id.partition("@")[0] for format_id in _FORMATS}))
        raise UnknownFormatError(
            f"format {requested!r} is not installed here; use one of {known}, or install its package"
        )
    fmt = max(found, key=lambda fmt: int(fmt.id.partition("@")[2]))
    while fmt.extends is not None and (older := format_by_id(fmt.extends)).handles(value):
        fmt = older
    return fmt


def _versions(name: str) -> list[Format]:
    return [fmt for format_id, fmt in _FORMATS.items() if format_id.partition("@")[0] == name]


@cache
def _load_all() -> None:
    load_installed(lambda _: True, _FORMATS)
