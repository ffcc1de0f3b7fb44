"""JSON text of data with tags, made level by level.

What stands on one level of the data is written together, type by type, so that the work for an item is done in C
wherever the type allows it. The text is the one that the standard encoder writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice, repeat
from operator import add
from typing import Any, Final, TypeAlias

from lucas_storage.containers import BUILT_IN
from lucas_storage.errors import NoFormatError
from lucas_storage.formats.base import not_mine

from .json_scalars import Scalar, numpy_scalars
from .plain_data import each_once, of_kind, texts_are_exact
from .scalar_texts import EXACT, TextsOf, exact, quoted

Write: TypeAlias = Callable[[Collection[Any], TextsOf], list[str]]
"""Returns the texts of some containers of one type, by the texts of what stands in them."""

_ROWS: Final = 1000
"""Rows that are written by columns; of more, the collector of garbage looks at the texts of each too often."""
_WIDE: Final = 64
"""Items of containers of one length up to which all of them are cut in C at once."""
_TEXT: Final = frozenset({str})


@dataclass(frozen=True, slots=True)
class Container:
    """How the containers of one type are written."""

    write: Write
    items: Callable[[Collection[Any]], Iterable[Any]] = chain.from_iterable
    """Returns what stands in some of them."""
    holds: Callable[[Collection[Any]], bool] | None = None
    """Returns whether all of some containers can be written, their items apart; None if every one can."""


class TaggedText:
    """Writes one value, and knows what types were in it.

    Args:
        format_id: Named in errors.
        scalars: How scalars are written.
        containers: How containers are written.
        room: How many levels deep values may be nested.
    """

    __slots__ = ("_containers", "_format_id", "_room", "_scalars", "kinds")

    def __init__(
        self, format_id: str, scalars: Mapping[type, Scalar], containers: Mapping[type, Container], room: int
    ) -> None:
        self._format_id = format_id
        self._scalars = scalars
        self._containers = containers
        self._room = room
        self.kinds: set[type] = set()
        """The types of all that was written."""

    def of(self, value: Any) -> str:
        """Return the text of a value.

        Raises:
            NoFormatError: It cannot be written, or is nested too deep, or contains itself.
        """
        (text,) = self.of_all((value,))
        return text

    def of_all(self, values: Collection[Any]) -> list[str]:
        """Return the texts of the values of one level, as `of` does."""
        kinds = set(map(type, values))
        self.kinds |= kinds
        if len(kinds) == 1:
            (kind,) = kinds
            return self._of_kind(values, kind)
        if len(kinds) == len(values):
            # No two of one type, as often in a record.
            return [self._of_kind((value,), type(value))[0] for value in values]
        each = {kind: iter(self._of_kind(of_kind(values, kinds, kind), kind)) for kind in kinds}
        return [next(each[type(value)]) for value in values]

    def _of_kind(self, values: Collection[Any], kind: type) -> list[str]:
        plain = EXACT.get(kind)
        if plain is not None:
            return plain(values)
        way = self._containers.get(kind) or self._scalars.get(kind) or numpy_scalars(values)
        if way is None or not (way.holds is None or way.holds(values)):
            raise not_mine(self._format_id, next(iter(values)), "convert it, or let the value decide its format")
        return self._of_containers(values, way.write) if isinstance(way, Container) else way.texts(values)

    def _of_containers(self, values: Collection[Any], write: Write) -> list[str]:
        if not self._room:
            raise NoFormatError(f"a value contains itself or is nested too deep for {self._format_id}; flatten it")
        self._room -= 1
        once = each_once(values)
        texts = write(once, self.of_all)
        self._room += 1
        if len(once) == len(values):
            return texts
        known = dict(zip(map(id, once), texts, strict=True))
        return [known[id(value)] for value in values]


def sequences(begin: str, end: str) -> Write:
    """Return how sequences are written, between two texts."""

    def write(values: Collection[Any], texts_of: TextsOf) -> list[str]:
        if 1 < len(values) <= _ROWS and (width := _width(values)) and _hold_no_containers(values):
            return _by_columns(begin + ",".join(["%s"] * width) + end, values, texts_of)
        return [f"{begin}{text}{end}" for text in _joined(values, texts_of(_within(values)))]

    return write


def sets(tag: str) -> Write:
    """Return how sets are written under a tag: sorted by the texts, so that equal sets have equal bytes."""

    def write(values: Collection[Any], texts_of: TextsOf) -> list[str]:
        texts = iter(texts_of(_within(values)))
        return [f'{{"{tag}":[{",".join(sorted(islice(texts, len(value))))}]}}' for value in values]

    return write


def pairs(begin: Callable[[Any], str], end: str) -> Write:
    """Return how dicts with any keys are written: as pairs, between what `begin` returns for each, and `end`."""

    def write(values: Collection[Any], texts_of: TextsOf) -> list[str]:
        keys, items = texts_of(_within(values)), texts_of(_values_of(values))
        each = [f"[{key},{item}]" for key, item in zip(keys, items, strict=True)]
        return [f"{begin(value)}{text}{end}" for value, text in zip(values, _joined(values, each), strict=True)]

    return write


def deques(values: Collection[Any], texts_of: TextsOf) -> list[str]:
    """Return the texts of deques."""
    joined = _joined(values, texts_of(_within(values)))
    return [f'{{"$deque":[{exact(value.maxlen)},[{text}]]}}' for value, text in zip(values, joined, strict=True)]


def dicts(values: Collection[Any], texts_of: TextsOf) -> list[str]:
    """Return the texts of dicts: objects of JSON, or pairs where keys are no texts, or look like a tag."""
    keys = _within(values)
    if set(map(type, keys)) <= _TEXT:
        names = _common_names(values) if 1 < len(values) <= _ROWS else None
        if texts_are_exact(names or keys) and not _any_looks_like_tag(values):
            return _objects(values, keys, texts_of) if names is None else _records(values, names, texts_of)
    if len(values) == 1 or not any(map(_is_object, values)):
        return _AS_PAIRS(values, texts_of)
    # Each by itself: the dicts of one level are seldom of both kinds.
    return [dicts((value,), texts_of)[0] for value in values]


def _is_object(value: dict[Any, Any]) -> bool:
    return set(map(type, value)) <= _TEXT and texts_are_exact(value) and not _any_looks_like_tag((value,))


def _objects(values: Collection[Any], keys: Collection[str], texts_of: TextsOf) -> list[str]:
    names = {key: f"{quoted(key)}:" for key in dict.fromkeys(keys)}
    each = list(map(add, map(names.__getitem__, keys), texts_of(_values_of(values))))
    return [f"{{{text}}}" for text in _joined(values, each)]


def _common_names(values: Collection[dict[str, Any]]) -> tuple[str, ...] | None:
    """Return the keys of dicts that have the same in the same order and no containers, as the records of a table."""
    shapes = set(map(tuple, values))
    if len(shapes) > 1 or () in shapes or not _hold_no_containers(map(dict.values, values)):
        return None
    return shapes.pop()


def _records(values: Collection[Any], names: Collection[str], texts_of: TextsOf) -> list[str]:
    fields = [quoted(name).replace("%", "%%") + ":%s" for name in names]
    return _by_columns("{" + ",".join(fields) + "}", map(dict.values, values), texts_of)


def _by_columns(row: str, values: Iterable[Any], texts_of: TextsOf) -> list[str]:
    """Return the texts of rows of one length, which `row` makes of the texts of their items.

    The items of a column are of one type mostly, so that no item needs a look to find its text.
    """
    columns = [texts_of(column) for column in zip(*values, strict=True)]
    return list(map(row.__mod__, zip(*columns, strict=True)))


def _width(values: Collection[Any]) -> int:
    """Return the length that all of some sequences have, if they are no longer than many; else 0."""
    lengths = set(map(len, values))
    return next(iter(lengths)) if len(lengths) == 1 and max(lengths) <= len(values) else 0


def _hold_no_containers(values: Iterable[Iterable[Any]]) -> bool:
    # Else a container that stands in each column would be written once for each, and so would what stands in it.
    return BUILT_IN.isdisjoint(map(type, chain.from_iterable(values)))


def _any_looks_like_tag(values: Collection[dict[str, Any]]) -> bool:
    # Written as pairs, so that reading does not take it for one. A loop, since a generator takes twice as long.
    for value in values:  # noqa: SIM110
        if len(value) == 1 and next(iter(value)).startswith("$"):
            return True
    return False


_AS_PAIRS: Final = pairs(lambda _: '{"$dict":[', "]}")


def _within(values: Collection[Any]) -> Collection[Any]:
    """Return what stands in containers: items, or keys."""
    return next(iter(values)) if len(values) == 1 else list(chain.from_iterable(values))


def _values_of(values: Collection[Any]) -> Collection[Any]:
    return list(chain.from_iterable(map(dict.values, values)))


def _joined(values: Collection[Any], texts: list[str]) -> list[str]:
    """Return for each container the texts of its items, which stand in order in one list."""
    if len(values) == 1:
        return [",".join(texts)]
    counts = set(map(len, values))
    each = iter(texts)
    if len(counts) == 1 and 0 < len(texts) <= _WIDE * len(values):
        # Containers of one length, such as the rows of a table, are cut in C.
        return list(map(",".join, zip(*repeat(each, counts.pop()))))  # noqa: B905  # it is one iterator
    return [",".join(islice(each, len(value))) for value in values]
