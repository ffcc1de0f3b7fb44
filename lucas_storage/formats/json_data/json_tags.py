"""Tags: how JSON holds the values that it lacks.

A value that JSON lacks is a dict of one key that begins with ``$``, and the user's own dicts of that shape are written
as ``$dict``, so the two cannot be confused. Readers of ``json@1`` hand an unknown tag on as a dict, so its tags are
settled for ever, and data that needs another one is ``json@2``, whose readers refuse a tag that they do not know::

    json@1
    {"$float": "nan"}      also inf and -inf          {"$tuple": […]}  {"$set": […]}  {"$frozenset": […]}
    {"$int": "ff…"}        hex, of very long ints     {"$dict": [[key, value], …]}   any hashable keys
    {"$text": base64}      a str with lone surrogates {"$numpy": [dtype, base64]}    a numpy scalar
    {"$artifact": uri}     an ArtifactRef

    json@2, besides
    {"$datetime": text}    or [text, zone, fold]      {"$bytes": base64}  {"$bytearray": base64}   up to 4096 bytes
    {"$time": text}        likewise                   {"$range": [start, stop, step]}  {"$slice": […]}
    {"$date": text}                                   {"$posixpath": text}  {"$windowspath": text}
    {"$timedelta": [days, seconds, microseconds]}     {"$ordereddict": [[key, value], …]}  {"$counter": [[…], …]}
    {"$decimal": text}     {"$uuid": text}            {"$defaultdict": [factory, [[key, value], …]]}
    {"$complex": [real, imaginary]}                   {"$deque": [maxlen, […]]}

A zone is the name of a `zoneinfo.ZoneInfo`, or ``[days, seconds, microseconds]`` and perhaps a name of a
`datetime.timezone`. Every value comes back equal and of exactly its type; subclasses have no tags.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from lucas_storage.errors import UnknownFormatError
from lucas_storage.limits import JSON_DEPTH
from lucas_storage.refs import TAG, ArtifactRef, is_tagged

from . import json_scalars, scalar_readers, tagged_text
from .json_scalars import Scalar, numpy_scalars
from .plain_data import each_once, of_kind
from .scalar_texts import exact
from .tagged_text import Container, TaggedText, Write

_FACTORIES: Final[dict[str, Callable[[], Any] | None]] = {
    kind.__name__: kind for kind in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)
}
_NAMES: Final = {factory: name for name, factory in _FACTORIES.items()}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the tags."""

    id: str
    scalars: Mapping[type, Scalar]
    containers: Mapping[type, Container]
    readers: Mapping[str, Callable[[Any], Any]]
    refuses_unknown: bool
    _unchecked: frozenset[type] = field(init=False)
    """Types of which every value can be written."""

    def __post_init__(self) -> None:
        known: dict[type, Scalar | Container] = {**self.scalars, **self.containers}
        unchecked = frozenset(kind for kind, way in known.items() if way.holds is None)
        object.__setattr__(self, "_unchecked", unchecked)

    def holds(self, value: object) -> bool:
        """Return whether `text` takes `value`; at the speed of C, level by level, with nothing written."""
        if type(value) not in self.containers:
            return type(value) in self._unchecked or self._holds_all((value,), type(value))
        level: Collection[Any] = (value,)
        for left in range(JSON_DEPTH, -1, -1):
            kinds = set(map(type, level))
            if not all(self._holds_all(of_kind(level, kinds, kind), kind) for kind in kinds - self._unchecked):
                return False
            inner = kinds.intersection(self.containers)
            if not inner:
                return True
            if not left:
                break
            every = ((self.containers[kind], each_once(of_kind(level, kinds, kind))) for kind in inner)
            level = list(chain.from_iterable(container.items(members) for container, members in every))
        return False

    def _holds_all(self, values: Collection[Any], kind: type) -> bool:
        way = self.scalars.get(kind) or self.containers.get(kind) or numpy_scalars(values)
        return way is not None and (way.holds is None or way.holds(values))

    def text(self, room: int = JSON_DEPTH) -> TaggedText:
        """Return what writes one value as JSON text; of at most so many levels."""
        return TaggedText(self.id, self.scalars, self.containers, room)

    def read(self, found: dict[str, Any]) -> Any:
        """Return the value of a dict of JSON if it is a tag, else the dict; what is in it has been read before.

        Raises:
            UnknownFormatError: The tag is unknown, in a dialect that has no others.
            ValueError, TypeError, LookupError, ArithmeticError: The tag makes no sense.
        """
        if len(found) != 1:
            return found
        ((tag, content),) = found.items()
        reader = self.readers.get(tag)
        if reader is not None:
            return reader(content)
        if tag == TAG and is_tagged(found):
            return ArtifactRef.parse(found)
        if self.refuses_unknown and tag.startswith("$"):
            raise UnknownFormatError(
                f"{self.id} data has a tag that is unknown here; upgrade lucas-storage for {tag!r:.80}"
            )
        return found


def _as_dict(write: Write, holds: Callable[[Collection[Any]], bool] | None = None) -> Container:
    return Container(write, _keys_and_values, holds)


def _keys_and_values(dicts: Collection[dict[Any, Any]]) -> Iterable[Any]:
    return chain(chain.from_iterable(dicts), chain.from_iterable(map(dict.values, dicts)))


def _have_no_attributes(values: Collection[Any]) -> bool:
    return not any(map(vars, values))


def _have_known_factories(values: Collection[Any]) -> bool:
    return all(value.default_factory is None or _name_of(value.default_factory) for value in values)


def _name_of(factory: Any) -> str | None:
    # By type first, since a factory may be of a class that cannot be hashed, or that equals others.
    return _NAMES.get(factory) if type(factory) is type else None


def _begin_of_defaultdict(value: Any) -> str:
    name = _name_of(value.default_factory)
    return f'{{"$defaultdict":[{exact(name)},['


_BASE: Final[dict[type, Container]] = {
    list: Container(tagged_text.sequences("[", "]")),
    dict: _as_dict(tagged_text.dicts),
    tuple: Container(tagged_text.sequences('{"$tuple":[', "]}")),
    set: Container(tagged_text.sets("$set")),
    frozenset: Container(tagged_text.sets("$frozenset")),
}
_ADDED: Final[dict[type, Container]] = {
    OrderedDict: _as_dict(tagged_text.pairs(lambda _: '{"$ordereddict":[', "]}"), _have_no_attributes),
    Counter: _as_dict(tagged_text.pairs(lambda _: '{"$counter":[', "]}"), _have_no_attributes),
    defaultdict: _as_dict(tagged_text.pairs(_begin_of_defaultdict, "]]}"), _have_known_factories),
    deque: Container(tagged_text.deques),
}


def _listed(make: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def read(content: Any) -> Any:
        if type(content) is not list:
            raise TypeError("a tag of a container holds no list")
        return make(content)

    return read


def _read_deque(content: list[Any]) -> Any:
    maxlen, items = content
    return deque(items, maxlen)


def _read_defaultdict(content: list[Any]) -> Any:
    name, pairs = content
    return defaultdict(None if name is None else _FACTORIES[name], pairs)


_READERS: Final[dict[str, dict[str, Callable[[Any], Any]]]] = {
    "json@1": {
        "$tuple": _listed(tuple),
        "$set": _listed(set),
        "$frozenset": _listed(frozenset),
        "$dict": _listed(dict),
    },
    "json@2": {
        "$ordereddict": _listed(OrderedDict),
        "$counter": _listed(lambda content: Counter(dict(content))),
        "$defaultdict": _listed(_read_defaultdict),
        "$deque": _listed(_read_deque),
    },
}

JSON_1: Final = Dialect(
    id="json@1",
    scalars=json_scalars.SCALARS["json@1"],
    containers=_BASE,
    readers=scalar_readers.READERS["json@1"] | _READERS["json@1"],
    refuses_unknown=False,
)
JSON_2: Final = Dialect(
    id="json@2",
    scalars=json_scalars.SCALARS["json@2"],
    containers=_BASE | _ADDED,
    readers={**JSON_1.readers, **scalar_readers.READERS["json@2"], **_READERS["json@2"]},
    refuses_unknown=True,
)

ADDED: Final = (JSON_2.scalars.keys() | JSON_2.containers.keys()) - (JSON_1.scalars.keys() | JSON_1.containers.keys())
"""Types that ``json@2`` alone holds; data of other types that it holds is ``json@1``."""
