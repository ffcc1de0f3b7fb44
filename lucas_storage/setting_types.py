"""How what is written for a setting becomes its value; what breaks a rule is a ValueError that says the rule alone.

The value itself is in no message: some are secrets.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from actorc.storage.ownership import check_writers, is_readable_by_others
from actorc.storage.rules import check_bucket, check_key

log = logging.getLogger(__name__)

_SHORTEST_KEY: Final = 16
_STORE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SWITCH: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def text(value: object) -> str:
    """Return a text without white space around it, not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text that is not empty")
    return value.strip()


def store_name(value: object) -> str:
    """Return the logical name of a store."""
    if not isinstance(value, str) or not _STORE.fullmatch(value):
        raise ValueError("a store name of 1-63 lower-case letters, digits and hyphens")
    return value


def bucket_name(value: object) -> str:
    """Return a bucket's name."""
    return check_bucket(value)


def key_prefix(value: object) -> str:
    """Return the beginning of keys, without a slash at its end."""
    prefix = check_key(value)
    if prefix.endswith("/"):
        raise ValueError("the beginning of a key without a slash at its end")
    return prefix


def ratio(value: object) -> int:
    """Return how many times as large something may be."""
    found = int(value) if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value) else value
    if type(found) is not int or found < 1:
        raise ValueError("a whole number of 1 or more")
    return found


def port(value: object) -> int:
    """Return a port, or 0 for any."""
    found = int(value) if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,5}\s*", value) else value
    if type(found) is not int or not 0 <= found < 1 << 16:
        raise ValueError("the number of a port, or 0 for any")
    return found


def switch(value: object) -> bool:
    """Return whether something is on, from a bool or a text."""
    found = value if type(value) is bool else _SWITCH.get(value.strip().lower()) if isinstance(value, str) else None
    if type(found) is not bool:
        raise ValueError("1 or 0")
    return found


def file_path(value: object, base: Path | None = None) -> Path:
    """Return an absolute path, with ``~`` expanded.

    Args:
        value: What was written.
        base: Where a relative path begins; None takes the present directory, which may be another one later on.
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("a path")
    path = _expanded(Path(value))
    try:
        return Path(os.path.abspath(path if base is None else base / path))  # noqa: PTH100 -- keeps links, as written
    except FileNotFoundError as error:
        raise ValueError("an absolute path, since the present directory is gone") from error


def home() -> Path | None:
    """Return the user's home directory; None if HOME is not set and the user has no entry in the passwd database.

    Containers run as users that nobody entered, and an empty variable says as little as one that is missing.
    """
    given = Path(os.environ.get("HOME", ""))
    if given.is_absolute():
        return given
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


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


def pickle_policy(value: object) -> str:
    """Return ``signed`` or ``deny``."""
    if value not in ("signed", "deny"):
        raise ValueError("signed or deny")
    return str(value)


def secrets(value: object) -> tuple[bytes, ...]:
    """Return secrets, from a list or a text separated by commas or lines."""
    texts = re.split(r"[,\n]", value) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError("secrets separated by commas or lines")
    keys = tuple(text.strip().encode() for text in texts if text.strip())
    if not keys or min(map(len, keys)) < _SHORTEST_KEY:
        raise ValueError(f"one or more secrets of at least {_SHORTEST_KEY} characters, separated by commas or lines")
    return keys


def secrets_file(value: object) -> tuple[bytes, ...]:
    """Return the secrets in a file that nobody but this user and root can have written."""
    path = file_path(value)
    try:
        with path.open(encoding="utf-8") as file:
            status, text = os.fstat(file.fileno()), file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError("a file that can be read as text") from error
    check_writers(path, status)
    if is_readable_by_others(status):
        _warn_of_readers(path)
    return secrets(text)


@lru_cache(maxsize=8)
def _warn_of_readers(path: Path) -> None:
    """Say it once."""
    log.warning("other users may read the signing keys in %s and sign with them; run 'chmod 600' on it", path)


def endpoints(value: object) -> dict[str, str]:
    """Return addresses by store name, from a mapping or a text."""
    stores = _split_endpoints(value) if isinstance(value, str) else value
    if not isinstance(stores, Mapping) or not stores:
        raise ValueError("store=address, separated by commas")
    for store, address in stores.items():
        if not isinstance(store, str) or not _STORE.fullmatch(store) or not isinstance(address, str) or not address:
            raise ValueError("store=address, with stores of 1-63 lower-case letters, digits and hyphens")
    return dict(stores)


def _split_endpoints(text: str) -> dict[str, str]:
    """Split ``a=x:1,y:2,b=z:3``: an item without a name is one more address of the store before it."""
    stores: dict[str, str] = {}
    store = ""
    for item in (item.strip() for item in text.split(",")):
        name, equals, address = (part.strip() for part in item.rpartition("="))
        if equals and name not in stores:
            store = name
            stores[store] = address
        elif store and item and not equals:
            stores[store] += f",{item}"
        else:
            raise ValueError("store=address, separated by commas, each store once")
    return stores
