"""The settings file of a user, ``~/.config/lucas-storage.toml``, and the profiles in it.

Client, plugin and command line look settings up in one order: what a caller gives, the environment, the file. A profile
is a table of the file, such as ``[profiles.lab]``. It comes right after the place that names it: named by a caller it
is as good as arguments, named by ``STORAGE_PROFILE`` it comes after the environment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from .errors import InvalidParameterError
from .files.private_files import is_readable_by_others
from .setting_lookup import Place, Way, read_toml
from .setting_types import text, user_directory

log = logging.getLogger(__name__)

PROFILE: Final = Way("profile", "STORAGE_PROFILE", text)
OF_CLIENT: Final = frozenset(
    {
        *("endpoint", "access_key", "secret_key", "use_ssl", "ca_file", "cert_file", "key_file", "http_endpoint"),
        "local",
    }
)
OF_PLUGIN: Final = frozenset(
    {
        *("endpoints", "store", "bucket", "prefix", "inline_max", "cache_dir", "cache_max", "cache_scrub"),
        *("max_expansion", "pickle", "signing_key", "signing_key_file", "resume", "ttl", "grace", "progress"),
        *("tracebacks", "record_values", "run_port"),
        *("openlineage_file", "openlineage_url", "openlineage_key", "openlineage_namespace"),
    }
)
"""Named here, since the client reads the same file, and must know what is a slip of the pen without the plugin."""
_NAMES: Final = OF_CLIENT | OF_PLUGIN
_SECRET: Final = frozenset({"access_key", "secret_key", "signing_key", "openlineage_key"})
BASES: Final = ("HOME", "XDG_CONFIG_HOME")
"""Variables on which the path of the file depends."""

Version: TypeAlias = tuple[int, int, int] | None
"""Changes when the file does; None where there is none."""


class Profile(Place):
    """The settings of a profile."""

    __slots__ = ()

    def without_keys(self) -> Place:
        """Return the profile without its keys, for a server that it does not name."""
        others = {name: value for name, value in self.values.items() if name not in {"access_key", "secret_key"}}
        return Place(self.origin, others, self.error, self.base)


def chain(places: Iterable[Place], error: type[InvalidParameterError] = InvalidParameterError) -> tuple[Place, ...]:
    """Return all places of settings: the given ones, with the profile that the first of them names, and the file.

    Args:
        places: Arguments, and the environment behind them.
        error: Raised for what is wrong with the file.

    Raises:
        InvalidParameterError: There is no such profile, or the file cannot be used.
    """
    found: list[Place] = []
    name = None
    for place in places:
        found.append(place)
        if name is None and (named := place.find(PROFILE)) is not None:
            name = named.value
            found.append(_profile(name, named.origin, error))
    return (*found, _top(error))


def path() -> Path | None:
    """Return the path of the settings file, whether it exists or not; None for a user without a home directory."""
    return path_for(tuple(map(os.environ.get, BASES)))


def version(file: Path | None) -> Version:
    """Return the version of a file, by which a caller sees that what it knows of it is still true."""
    # Asked at every call of every function, and most processes have no file: to learn that takes a third of the time of
    # an exception that says so.
    if not file or not os.access(file, os.F_OK):
        return None
    try:
        stat = os.stat(file)  # noqa: PTH116  # the method takes twice as long
    except OSError:  # as if there were no file; reading it reports the error
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@lru_cache(maxsize=4)
def path_for(_variables: tuple[str | None, ...]) -> Path | None:
    """Do as `path`, for a caller that has looked up the variables `BASES` already."""
    base = user_directory("XDG_CONFIG_HOME", ".config")
    return base and base.with_suffix(".toml")


def _top(error: type[InvalidParameterError]) -> Place:
    file = path()
    values, _ = _content(file, error)
    return Place(str(file), values, error, base=file and file.parent)


def _profile(name: str, origin: str, error: type[InvalidParameterError]) -> Place:
    file = path()
    _, profiles = _content(file, error)
    if name not in profiles:
        known = f"it has {', '.join(sorted(profiles))}" if profiles else f"add a table [profiles.{name}] to it"
        raise error(f"there is no profile {name!r} (from {origin}) in {file or 'the settings file'}; {known}")
    return Profile(f"the profile {name} in {file}", profiles[name], error, base=file and file.parent)


_Content: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]


def _content(file: Path | None, error: type[InvalidParameterError]) -> _Content:
    """Return the settings at the top of the file, and the profiles by name."""
    found = version(file)
    if file is None or found is None:
        return {}, {}
    try:
        return _read(file, found)
    except InvalidParameterError as wrong:
        raise error(wrong.message) from wrong.__cause__


@lru_cache(maxsize=4)
def _read(file: Path, _at: Version) -> _Content:
    values = read_toml(file, "settings file")
    profiles = values.pop("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise InvalidParameterError(f"the settings file {file} has profiles that are no tables, as [profiles.lab] is")
    _check_names(file, "", values)
    for name, each in profiles.items():
        _check_names(file, f" in the profile {name}", each)
    if any(_SECRET & each.keys() for each in (values, *profiles.values())) and is_readable_by_others(file.stat()):
        log.warning("other users may read the keys in %s and use them; run 'chmod 600' on it", file)
    return values, profiles


def _check_names(file: Path, where: str, names: Iterable[str]) -> None:
    unknown = ", ".join(sorted(set(names) - _NAMES))
    if unknown:
        known = ", ".join(sorted(_NAMES))
        raise InvalidParameterError(f"the settings file {file} has unknown names{where} ({unknown}); known are {known}")
