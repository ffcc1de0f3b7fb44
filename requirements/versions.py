"""Tell what is installed from what is locked, and write down what was tested.

`python requirements/versions.py moved` prints what is installed in another version than requirements/test.txt has;
`python requirements/versions.py write` writes the table of docs/compatibility.md, and what is installed is its newest.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"
HEADER = "| package | allowed | lowest | locked | newest |"
PIN = re.compile(r"^[a-z0-9].*?(?= *\\?$)", re.MULTILINE)
OURSELVES = "lucas-storage"


@cache
def pins(lock: str) -> list[Requirement]:
    """Return what `requirements/{lock}.txt` pins; a package that has several has them for different Pythons."""
    return [Requirement(line) for line in PIN.findall((ROOT / "requirements" / f"{lock}.txt").read_text())]


def declared(extra: str) -> Iterator[Requirement]:
    """Yield what pyproject.toml requires directly with this extra, through extras that name others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    yield from map(Requirement, project["dependencies"])
    wanted, seen = [extra], set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        for requirement in map(Requirement, project["optional-dependencies"][name]):
            if requirement.name == OURSELVES:
                wanted.extend(sorted(requirement.extras - seen))
            else:
                yield requirement


def moved() -> Iterator[str]:
    """Yield a line for each installed package whose version is not the one that is locked for this Python."""
    locked = {pin.name: str(pin.specifier)[2:] for pin in pins("test") if not pin.marker or pin.marker.evaluate()}
    present = {canonicalize_name(found.name): found.version for found in distributions()}
    for name in sorted(present.keys() - {OURSELVES, "pip", "setuptools"}):
        old = locked.get(name, "none")
        if old != present[name]:
            yield f"{name} {old} -> {present[name]}"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield package, what the ranges allow, the lowest version that is tested, and the locked ones."""
    allowed = {canonicalize_name(each.name): each.specifier for each in declared("test")}
    for name in sorted(allowed):
        bounds = ",".join(sorted(map(str, allowed[name]), reverse=True))
        yield name, bounds, _pinned("lowest", name), _pinned("test", name)


def write() -> None:
    """Replace the table of the document; what this runs in is where the newest versions are installed."""
    lines = DOCUMENT.read_text().splitlines()
    first = lines.index(HEADER) + 2
    last = next(at for at in range(first, len(lines) + 1) if at == len(lines) or not lines[at].startswith("|"))
    lines[first:last] = [f"| {' | '.join([*row, _installed(row[0])])} |" for row in rows()]
    DOCUMENT.write_text("\n".join(lines) + "\n")


def _pinned(lock: str, name: str) -> str:
    return ", ".join(dict.fromkeys(str(pin.specifier)[2:] for pin in pins(lock) if pin.name == name))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["moved"]:
            print(*moved(), sep="\n")
        case ["write"]:
            write()
        case _:
            sys.exit(__doc__)
