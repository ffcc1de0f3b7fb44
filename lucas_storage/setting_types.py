"""Types of the plugin's own settings; each raises ValueError with the rule, as in `actorc.storage.setting_types`."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from actorc.storage.files.private_files import check_writers, is_readable_by_others
from actorc.storage.rules import check_key

from .limits import STORE_NAME

log = logging.getLogger(__name__)

_SHORTEST_KEY: Final = 16


def store_name(value: object) -> str:
    """Return the logical name of a store."""
    if not isinstance(value, str) or not STORE_NAME.fullmatch(value):
        raise ValueError("a store name of 1-63 lower-case letters, digits and hyphens")
    return value


def key_prefix(value: object) -> str:
    """Return the beginning of keys, without a slash at its end."""
    prefix = check_key(value)
    if prefix.endswith("/"):
        raise ValueError("the beginning of a key without a slash at its end")
    return prefix


def pickle_policy(value: object) -> str:
    """Return ``signed`` or ``deny``."""
    if value not in ("signed", "deny"):
        raise ValueError("signed or deny")
    return str(value)


def traceback_length(value: object) -> str:
    """Return ``short`` or ``full``."""
    if value not in ("short", "full"):
        raise ValueError("short or full")
    return str(value)


def recorded_values(value: object) -> str:
    """Return ``all``, ``errors`` or ``none``."""
    if value not in ("all", "errors", "none"):
        raise ValueError("all, errors or none")
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


def http_url(value: object) -> str:
    """Return the address of a receiver of events; without names of users and passwords, which logs would show."""
    try:
        parts = urlsplit(str(value))
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in parts.netloc or not str(value).isprintable() or " " in str(value):
        raise ValueError("an http:// or https:// URL without a user name; a token goes into openlineage_key")
    return str(value)


def secrets_file(path: Path) -> tuple[bytes, ...]:
    """Return the secrets in a file that only this user and root can have written."""
    try:
        with path.open(encoding="utf-8") as file:
            # The owner of the file that was read, not of another one that took its place.
            status, text = os.fstat(file.fileno()), file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError("a file that can be read as text") from error
    check_writers(path, status)  # with a key of another user's choice, his pickles would be loaded
    if is_readable_by_others(status):
        _warn_of_readers(path)
    return secrets(text)


@lru_cache(maxsize=8)
def _warn_of_readers(path: Path) -> None:
    """Log a warning, once for each path."""
    log.warning("other users may read the signing keys in %s and sign with them; run 'chmod 600' on it", path)


def endpoints(value: object) -> dict[str, str]:
    """Return addresses by store name, from a mapping or a text."""
    stores = _split_endpoints(value) if isinstance(value, str) else value
    if not isinstance(stores, Mapping) or not stores:
        raise ValueError("store=address, separated by commas")
    for store, address in stores.items():
        if not isinstance(store, str) or not STORE_NAME.fullmatch(store) or not isinstance(address, str) or not address:
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
