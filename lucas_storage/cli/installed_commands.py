"""Commands that other installed packages bring, found by their entry points.

`importlib.metadata` finds the same, but its import takes a third of the time of a short command: it loads a parser of
mail. Here the files are read as they are; where packages may lie in an archive, that module is asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

_SUFFIXES: Final = (".dist-info", ".egg-info")
_FILE: Final = "entry_points.txt"


class InstalledCommand(NamedTuple):
    """An entry point."""

    name: str
    value: str
    """``module:attribute``."""


def installed_commands(group: str) -> list[InstalledCommand]:
    """Return the entry points of a group, one of each name, in the order in which Python looks for packages."""
    places = [place or os.curdir for place in sys.path]
    points = _from_archives(group) if any(map(os.path.isfile, places)) else _from_folders(places, group)
    return list({point.name: point for point in reversed(list(points))}.values())[::-1]


def _from_archives(group: str) -> Iterator[InstalledCommand]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # slow to load

    return (InstalledCommand(point.name, point.value) for point in entry_points(group=group))


def _from_folders(places: list[str], group: str) -> Iterator[InstalledCommand]:
    known: set[str] = set()
    for place in places:
        for name in _packages(place):
            # Of a package that is installed twice, the first is imported.
            package = name.partition("-")[0].lower()
            if package not in known:
                known.add(package)
                yield from _read(os.path.join(place, name, _FILE), group)  # noqa: PTH118  # a hundred paths, each once


def _packages(place: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(place) if name.endswith(_SUFFIXES))  # noqa: PTH208  # as above
    except OSError:
        return []


def _read(path: str, group: str) -> Iterator[InstalledCommand]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # as above
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return
    header = f"[{group}]"
    if header not in text:
        return
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == header
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield InstalledCommand(name.strip(), value.strip())
