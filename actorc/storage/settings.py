"""Settings: each is found in the first of several places that gives it, and remembers which place that was.

The client, the server, the plugin and the controller's client declare their own; what all have in common is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
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
    """A value and where it came from; shows no secret and refuses to be pickled."""

    value: T
    origin: str
    """``argument``, ``storage_context``, the name of an environment variable, the path of the file, also of the one in
    which a server of this user told it, or ``built-in default``."""
    secret: bool = False

    def __repr__(self) -> str:
        shown = "…" if self.secret and self.value else repr(self.value)
        return f"{shown} ({self.origin})"

    def __reduce__(self) -> NoReturn:
        refuse_to_ship()


def refuse_to_ship() -> NoReturn:
    """Raise what an object raises that may hold credentials and is pickled."""
    raise TypeError(
        "credentials are never shipped to workers; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY where the I/O happens"
    )


@dataclass(frozen=True, slots=True)
class Way:
    """One way to give a setting."""

    name: str
    """As an argument and in a file."""
    variable: str
    """In the environment."""
    read: Callable[[Any], Any]
    """Returns the value; raises ValueError with the rule, without the value, since it may be a secret."""
    secret: bool = False
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One place that may give settings."""

    origin: str
    """Empty for the environment, where the variable is the origin."""
    values: Mapping[str, Any]
    error: type[InvalidParameterError] = InvalidParameterError
    """What is raised if a value cannot be used."""
    base: Path | None = None
    """Where relative paths begin; None: in the present directory."""

    def find(self, way: Way) -> Setting[Any] | None:
        """Return the value given here in this way; None: there is none.

        Raises:
            InvalidParameterError: It cannot be used; the message has the place and the rule, and not the value.
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
        """Return what is written here in this way; None and variables that are blank say nothing."""
        found = self.values.get(way.name if self.origin else way.variable)
        if found is not None and (self.origin or found.strip()):
            return found
        if not self.origin:
            _anchors.pop(way.variable, None)
        return None

    def rooted(self, way: Way, raw: object) -> Path:
        """Return a path that means the same wherever this process goes: many tools change the present directory."""
        if self.origin:
            return file_path(raw, self.base)
        if _anchors.get(way.variable, (None,))[0] != raw:
            _anchors[way.variable] = raw, file_path(raw)
        return _anchors[way.variable][1]


_anchors: Final[dict[str, tuple[Any, Path]]] = {}
"""By variable, what was in it when it was read first, and the path that meant then."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting as it is declared."""

    ways: tuple[Way, ...]
    """In one place, an earlier one goes first."""
    default: Any
    """A value, or a function that returns it."""

    def find(self, places: Iterable[Place]) -> Setting[Any]:
        """Return what the first place that gives the setting says, else the default.

        Raises:
            InvalidParameterError: It cannot be used.
        """
        found = next(filter(None, (place.find(way) for place in places for way in self.ways)), None)
        if found is not None:
            return found
        return Setting(self.default() if callable(self.default) else self.default, BUILT_IN, self.ways[0].secret)


def environment(error: type[InvalidParameterError] = InvalidParameterError) -> Place:
    """Return the environment as a place; `error` is raised if a variable cannot be used."""
    return Place("", os.environ, error)


def read_toml(path: Path, what: str, error: type[InvalidParameterError] = InvalidParameterError) -> dict[str, Any]:
    """Return what a file says.

    Raises:
        InvalidParameterError: It cannot be read; `what` is what it is called in the message.
    """
    tomllib = import_module("tomllib")  # most processes have no file, and start without its milliseconds
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise error(f"the {what} {path} cannot be read as TOML, {cause}; mend it or remove it") from cause
    return values
