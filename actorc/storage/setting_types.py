"""Parsers of settings; each returns a value, or raises a ValueError with the rule that is broken.

No message contains the value, since some are secrets. Sizes and durations are parsed in `units`.
"""

from __future__ import annotations

import os
import pwd
import re
import threading
from pathlib import Path
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_SWITCH: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def as_it_is(value: object) -> object:
    """Return any value, which is checked where it is used."""
    return value


def unchanged_text(value: object) -> str:
    """Return text as it is."""
    if not isinstance(value, str):
        raise ValueError("text")  # noqa: TRY004  # reported as any other value that breaks a rule
    return value


def text(value: object) -> str:
    """Return text without surrounding white space; it must not be empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text that is not empty")
    return value.strip()


def switch(value: object) -> bool:
    """Return a bool, from itself or from text."""
    found = value if type(value) is bool else _SWITCH.get(value.strip().lower()) if isinstance(value, str) else None
    if type(found) is not bool:
        raise ValueError("1 or 0")
    return found


def port(value: object) -> int:
    """Return a port, or 0 for any."""
    found = _whole(value)
    if found is None or found >= 1 << 16:
        raise ValueError("the number of a port, or 0 for any")
    return found


def ratio(value: object) -> int:
    """Return a factor: a whole number of 1 or more."""
    found = _whole(value)
    if not found:
        raise ValueError("a whole number of 1 or more")
    return found


def timeout(value: object) -> float:
    """Return a number of seconds above 0, and no more than Python can wait for; text is none."""
    if not isinstance(value, (int, float)) or not 0 < value <= threading.TIMEOUT_MAX:
        raise ValueError(f"a number of seconds above 0, at most {threading.TIMEOUT_MAX:.0f}")
    return value


def _whole(value: object) -> int | None:
    """Return a number from 0 up, from itself or its digits; None for anything else."""
    found = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value.strip()) else value
    return found if type(found) is int and found >= 0 else None


def file_path(value: object, base: Path | None = None) -> Path:
    """Return an absolute path, with ``~`` expanded.

    Args:
        value: The path as it was given.
        base: Directory of a relative path; None for the working directory, which may change later.
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("a path")
    if "\0" in os.fsdecode(value):
        raise ValueError("a path without null characters")
    path = _expanded(Path(value))
    try:
        return Path(os.path.abspath(path if base is None else base / path))  # noqa: PTH100 -- keeps links, as written
    except FileNotFoundError as error:
        raise ValueError("an absolute path, since the present directory is gone") from error


def home() -> Path | None:
    """Return the user's home directory; None if HOME is not set and the user has no entry in the passwd database.

    Containers often run as users without such an entry. An empty variable counts as unset.
    """
    given = Path(os.environ.get("HOME", ""))
    if given.is_absolute():
        return given
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def user_directory(variable: str, default: str) -> Path | None:
    """Return this package's directory under a directory of the XDG specification; None without a home directory.

    Args:
        variable: Such as ``XDG_CACHE_HOME``; by the specification, a relative path counts as unset.
        default: Path within the home directory if the variable is unset.
    """
    base = Path(os.environ.get(variable, ""))
    if base.is_absolute():
        return base / "lucas-storage"
    directory = home()
    return directory and directory / default / "lucas-storage"


def _expanded(path: Path) -> Path:
    if path.parts[:1] == ("~",):
        directory = home()
        if directory is None:
            raise ValueError("a path without ~, since HOME is not set and this user has no entry in /etc/passwd")
        return directory.joinpath(*path.parts[1:])
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("a path that does not begin with ~ and an unknown user") from error
