"""Options of a server from their sources: command line over configuration file over defaults, or another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.setting_lookup import read_toml

from .config import ServerOptions

_CALLED: Final[dict[type, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path as text",
}
_KINDS: Final = {kind.__name__: kind for kind in _CALLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One field of `ServerOptions`, for parsers and tables of all options."""

    name: str
    kind: type
    """``str``, ``int``, ``float``, ``bool`` or ``Path``."""
    section: str
    metavar: str
    meaning: str
    default: Any
    """Default of the command that serves."""

    @property
    def flag(self) -> str:
        """The option's name on a command line."""
        return "--" + self.name.replace("_", "-")

    def read(self, value: object) -> Any:
        """Return a value of a configuration file, checked.

        Raises:
            ValueError: It has another type; the message names the right one.
        """
        right = type(value) is (str if self.kind is Path else self.kind) or (self.kind is float and type(value) is int)
        if not right:
            raise ValueError(f"must be {_CALLED[self.kind]}, not {value!r}")
        return self.kind(value)


OPTIONS: Final = tuple(
    Option(name=each.name, kind=_KINDS[str(each.type).removesuffix(" | None")], **each.metadata)
    for each in fields(ServerOptions)
)
_SECTIONS: Final = tuple(dict.fromkeys(option.section for option in OPTIONS))


def options_from(given: Mapping[str, Any], config: Path | None = None, *, data: Path | None = None) -> ServerOptions:
    """Return options: the command line overrides the configuration file, and that the defaults.

    Args:
        given: Values of the command line by name; None: not given.
        config: The configuration file.
        data: The data directory, if neither source names one or an engine.

    Raises:
        InvalidParameterError: A value is invalid, or the file cannot be read, has unknown names, or has wrong types.
    """
    said = {name: value for name, value in given.items() if value is not None}
    filed = _read_file(config) if config else {}
    if said.keys() & {"data", "engine"}:
        filed = {name: value for name, value in filed.items() if name not in {"data", "engine"}}
    unsaid: dict[str, Any] = {option.name: option.default for option in OPTIONS}
    if not (said.get("engine") or filed.get("engine")):
        unsaid["data"] = data
    return ServerOptions(**{**unsaid, **filed, **said})


def to_plain(options: ServerOptions) -> dict[str, Any]:
    """Return options in a form for JSON, with absolute paths."""
    values = {option.name: getattr(options, option.name) for option in OPTIONS}
    if options.engine and "://" not in options.engine:
        values["engine"] = str(Path(options.engine).absolute())
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()}


def from_plain(values: Mapping[str, Any]) -> ServerOptions:
    """Return the options that `to_plain` returned."""
    kinds = {option.name: option.kind for option in OPTIONS}
    read: dict[str, Any] = {name: value if value is None else kinds[name](value) for name, value in values.items()}
    return ServerOptions(**read)


def _read_file(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section, values in read_toml(path, "configuration file").items():
        if section not in _SECTIONS or not isinstance(values, dict):
            raise InvalidParameterError(
                f"{path} has {section!r} where a section belongs; the sections are {', '.join(_SECTIONS)}"
            )
        found.update({name: _value(path, section, name, value) for name, value in values.items()})
    return found


def _value(path: Path, section: str, name: str, value: object) -> Any:
    known = {option.name: option for option in OPTIONS if option.section == section}
    if name not in known:
        homes = [option.section for option in OPTIONS if option.name == name]
        advice = f"move it to [{homes[0]}]" if homes else f"known there are {', '.join(known)}"
        raise InvalidParameterError(f"{path} has an unknown option {name!r} in [{section}]; {advice}")
    try:
        read = known[name].read(value)
    except ValueError as error:
        raise InvalidParameterError(f"{path} has a wrong value in [{section}], as {name} {error}") from None
    return path.parent / read if isinstance(read, Path) else read
