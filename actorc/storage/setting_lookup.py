"""Settings: each is taken from the first of several places that has it, and records which place that was.

The client, the server and the plugin declare their own settings; the lookup that all of them share is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from .errors import InvalidParameterError
from .setting_types import file_path

T = TypeVar("T")

BUILT_IN: Final = "built-in default"


@dataclass(frozen=True, slots=True, repr=False)
class Setting(Generic[T]):
    """A value and its origin. Immutable; its repr hides secrets, and pickling it raises."""

    value: T
    origin: str
    """``argument``, ``storage_context``, the name of an environment variable, a profile, the path of a file, which may
    be the one that a server of this user writes, or ``built-in default``."""
    secret: bool = False

    def __repr__(self) -> str:
        shown = "…" if self.secret and self.value else repr(self.value)
        return f"{shown} ({self.origin})"

    def __reduce__(self) -> NoReturn:
        refuse_to_ship()


def refuse_to_ship() -> NoReturn:
    """Raise the error of pickling an object that may hold credentials."""
    raise TypeError(
        "credentials are never shipped to workers; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY where the I/O happens"
    )


@dataclass(frozen=True, slots=True)
class Way:
    """The names of one setting, and how its value is read."""

    name: str
    """Name of the argument and of the key in a file."""
    variable: str
    """Name of the environment variable."""
    read: Callable[[Any], Any]
    """Returns the value; raises ValueError with the rule but not the value, which may be a secret."""
    secret: bool = False
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place where settings are looked up, such as a file."""

    origin: str
    """Empty for the environment, where the variable is the origin."""
    values: Mapping[str, Any]
    error: type[InvalidParameterError] = InvalidParameterError
    """The error for an invalid value."""
    base: Path | None = None
    """Directory of relative paths; None for the working directory."""

    def find(self, way: Way) -> Setting[Any] | None:
        """Return the value that this place has; None if it has none.

        Raises:
            InvalidParameterError: It is invalid; the message names the place and the rule, but not the value.
        """
        raw = self.raw(way)
        if raw is None:
            return None
        origin = self.origin or way.variable
        try:
            return Setting(way.read(self.rooted(way, raw) if way.is_path else raw), origin, way.secret)
        except ValueError as error:
            rule = error.message if isinstance(error, InvalidParameterError) else f"it must be {error}"
            name = f"{way.name} of {origin}" if self.origin else origin
            raise self.error(f"the setting {name} cannot be used; {rule}") from error

    def raw(self, way: Way) -> Any:
        """Return the unparsed value; None if it is missing, or if an environment variable is blank."""
        found = self.values.get(way.name if self.origin else way.variable)
        if found is not None and (self.origin or found.strip()):
            return found
        if not self.origin:
            _anchors.pop(way.variable, None)
        return None

    def rooted(self, way: Way, raw: object) -> Path:
        """Return an absolute path, which stays valid when a tool changes the working directory."""
        if self.origin:
            return file_path(raw, self.base)
        if _anchors.get(way.variable, (None,))[0] != raw:
            _anchors[way.variable] = raw, file_path(raw)
        return _anchors[way.variable][1]


_anchors: Final[dict[str, tuple[Any, Path]]] = {}
"""The value of each variable when it was first read, and the absolute path it meant then."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The declaration of a setting."""

    ways: tuple[Way, ...]
    """Its names; within one place, an earlier one takes precedence."""
    default: Any
    """A value, or a function that returns it."""

    def find(self, places: Iterable[Place]) -> Setting[Any]:
        """Return the value of the first place that has the setting, else the default.

        Raises:
            InvalidParameterError: The value is invalid.
        """
        found = next(filter(None, (place.find(way) for place in places for way in self.ways)), None)
        if found is not None:
            return found
        return Setting(self.default() if callable(self.default) else self.default, BUILT_IN, self.ways[0].secret)


def environment(error: type[InvalidParameterError] = InvalidParameterError) -> Place:
    """Return the environment as a place; `error` is raised for an invalid variable."""
    return Place("", os.environ, error)


class Variables:
    """Some variables of the environment, for callers that ask for all of them again and again. Any thread may call it.

    Args:
        names: Their names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._keys = tuple(map(os.fsencode, names))

    def now(self) -> tuple[str | None, ...]:
        """Return their values, None for those that are not set."""
        # the dict below `os.environ`, where it keeps one: a look-up above it encodes the name, and raises an exception
        # for each variable that is not set, which is most of them, and takes a hundred times as long
        kept = getattr(os.environ, "_data", None)
        if os.supports_bytes_environ and isinstance(kept, dict):
            return tuple([value if value is None else os.fsdecode(value) for value in map(kept.get, self._keys)])
        return tuple(map(os.environ.get, self._names))


def read_toml(path: Path, what: str, error: type[InvalidParameterError] = InvalidParameterError) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        InvalidParameterError: It cannot be read; the message calls it `what`.
    """
    tomllib = import_module("tomllib")  # most processes have no file, and start without its milliseconds
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise error(f"the {what} {path} cannot be read as TOML, {cause}; mend it or remove it") from cause
    return values
