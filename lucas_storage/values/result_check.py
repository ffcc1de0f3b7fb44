"""Checks results against their annotations: what would arrive as the annotated type is admitted, all else refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from lucas_storage.class_names import package_of
from lucas_storage.engine import adapter
from lucas_storage.formats import format_for
from lucas_storage.formats.base import type_name
from lucas_storage.refs import ArtifactRef, is_tagged

from .annotations.annotation import (
    ANY,
    Annotation,
    Columns,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    OneOf,
    OrNone,
    Record,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    Word,
)
from .annotations.shown import shown
from .loading.load_value import is_ready
from .storing.open_files import is_open_file

_SCALARS: Final = (bool, int, float, complex, str)
_SEQUENCES: Final = (list, tuple, deque)
_UNORDERED: Final = (set, frozenset, *_SEQUENCES)
_TABLES: Final = ("dataframe", "polars", "table", "lazyframe", "dataset")
_DATA: Final = ("json", "text", "pickle5")
"""Formats that are not the bytes of a file."""


def check_result(value: Any, annotation: Annotation, function: str) -> None:
    """Check that a result is of its annotated type, or would arrive as it; items of containers one of each type.

    Raises:
        TypeError: It is not; names function, annotation, and the type that came.
    """
    found = _misfit(value, annotation)
    if found is None:
        return
    remedy = "change the annotation, or what it returns"
    if found == "a str" and _asks_for_file(annotation):
        remedy = "return a Path, or bytes for the content of a file"
    raise TypeError(f"the result of {function!r} is annotated {shown(annotation)} and is {found}; {remedy}")


def _misfit(value: Any, annotation: Annotation) -> str | None:  # noqa: PLR0911  # one case for each form
    """Return what a value is, if it is not of an annotated type."""
    # A reference may be one to anything. A placeholder is refused where values are stored.
    if annotation == ANY or type(value) is ArtifactRef or is_tagged(value) or adapter.is_lambda(value):
        return None
    match annotation:
        case StoredAs(inner=inner) | Columns(inner=inner):
            return _misfit(value, inner)
        case OrNone(inner):
            return None if value is None else _misfit(value, inner)
        case Either(members):
            misfits = [_misfit(value, member) for member in members]
            return None if None in misfits else misfits[0]
    if not _is_of_kind(value, annotation):
        return "None" if value is None else f"a {type_name(value)}"
    for item, wanted in _children(value, annotation):
        held = _misfit(item, wanted)
        if held is not None:
            return f"a {type_name(value)} with {held} in it"
    return None


def _is_of_kind(value: Any, annotation: Annotation) -> bool:  # noqa: PLR0911  # one case for each form
    match annotation:
        case Word(name):
            return _WORDS[name](value) if name in _WORDS else True
        case ListOf():
            return isinstance(value, (*_SEQUENCES, Iterator))
        case SetOf() | TupleOfAnyLength():
            return isinstance(value, (*_UNORDERED, Iterator))
        case TupleOf(items):
            return isinstance(value, _SEQUENCES) and len(value) == len(items)
        case IteratorOf():
            return isinstance(value, (Iterable, PurePath)) or is_open_file(value) or _is_buffer(value)
        case DictOf():
            return isinstance(value, Mapping)
        case Record():
            return _is_record(value, annotation)
        case EnumOf(name):
            return _is_instance(value, name) or isinstance(value, (*_SCALARS, list, tuple))
        case OneOf(values):
            return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)
    return True


def _children(value: Any, annotation: Annotation) -> Iterator[tuple[Any, Annotation]]:
    """Yield children of a container with their annotations: of those of one type, one alone."""
    match annotation:
        case ListOf(items) | SetOf(items) | TupleOfAnyLength(items) | IteratorOf(items):
            if items != ANY and isinstance(value, _UNORDERED):
                yield from ((item, items) for item in _of_each_type(value))
        case DictOf(values):
            if values != ANY:
                yield from ((item, values) for item in _of_each_type(value.values()))
        case TupleOf(items):
            yield from zip(value, items, strict=True)


def _of_each_type(items: Iterable[Any]) -> Iterable[Any]:
    # At the speed of C, since a result may have a million items.
    items = list(items)
    return dict(zip(map(type, items), items, strict=True)).values()


def _is_record(value: Any, annotation: Record) -> bool:
    if _is_instance(value, annotation.name):
        return True
    # Data of which the class is made when it arrives; without the class, fields with defaults are not known.
    if isinstance(value, Mapping):
        return value.keys() <= {name for name, _ in annotation.fields}
    return annotation.kind == "namedtuple" and isinstance(value, (list, tuple))


def _is_instance(value: Any, label: str) -> bool:
    """Return whether a class of this label is among those of a value; the arguments of generic classes do not count."""
    wanted = _unparametrized(label)
    return any(_unparametrized(f"{cls.__module__}:{cls.__qualname__}") == wanted for cls in type(value).__mro__)


def _unparametrized(label: str) -> str:
    return label.partition("[")[0].rstrip("'")


def _asks_for_file(annotation: Annotation) -> bool:
    inner = annotation.inner if isinstance(annotation, OrNone | StoredAs) else annotation
    return inner in (Word("path"), Word("binaryio"))


def _is_content(value: Any) -> bool:
    """Return whether a value is stored as the bytes of a file."""
    if isinstance(value, (PurePath, Iterator)) or is_open_file(value) or _is_buffer(value):
        return True
    if value is None or isinstance(value, (*_SCALARS, *_UNORDERED, Mapping)):
        return False
    return format_for(value).id.partition("@")[0] not in _DATA


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except (TypeError, BufferError, ValueError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, PurePath)) or is_open_file(value)


def _is_array(value: Any) -> bool:
    return is_ready(value, "ndarray") or package_of(type(value)) == "numpy"


def _is_table(value: Any) -> bool:
    if any(is_ready(value, word) for word in _TABLES):
        return True
    return not isinstance(value, (*_SCALARS, *_UNORDERED, Mapping)) and format_for(value).id in ("arrow@1", "parquet@1")


_WORDS: Final[dict[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("bytes", "path", "binaryio"), _is_content),
    **dict.fromkeys(("str", "textio"), _is_text),
    **dict.fromkeys(_TABLES, _is_table),
    "ndarray": _is_array,
}
"""Checks of the types with a word; any value can become a reference."""
