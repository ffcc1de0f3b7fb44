"""The file of access keys, read by servers and changed by ``lucas-storage keys`` and by the API.

It contains keys derived from the secrets; a secret is shown once and stored nowhere. A derived key verifies signatures
and can also make them, so only the owner may read the file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError, NotFoundError, PreconditionFailedError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import check_writers, make_directory, replace_private

from .access import Statement
from .access_keys import MOST_FORMER, AccessKey, FormerSecret, as_record, from_record, new_key, new_secret, present

LONGEST_GRACE: Final = 30 * 24 * 3600
"""Seconds for which a former secret is valid, at most."""
_FORMAT: Final = 1

Check = Callable[[], None]
"""Called while no other process can change the file, before it is changed; raises if the change is not allowed."""


def read_keys(path: Path) -> dict[str, AccessKey]:
    """Return the keys of the file by id, oldest first.

    Raises:
        StorageError: It cannot be read, is damaged, has an unknown format, or other users can write to it.
        InvalidParameterError: It is no regular file.
    """
    status, text = _read(path)
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise StorageError(
                f"{path} has format {content['format']!r}, which this version of lucas-storage does not know; update it"
            )
        keys = [from_record(record) for record in content["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise StorageError(f"the file of access keys {path} is damaged; restore it from a backup") from error
    check_writers(path, status)
    return {key.id: key for key in keys}


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    """Return the status of a regular file and its content; a pipe in its place is not waited for."""
    try:
        # the descriptor's status: the path may be replaced between reading and looking at the owner
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                return status, file.read()
    except IsADirectoryError:
        pass
    except OSError as error:
        raise StorageError(f"the file of access keys {path} cannot be read ({error.strerror}); allow it") from error
    raise InvalidParameterError(f"the file of access keys {path} is no regular file; name another one")


def add_key(
    path: Path, statements: Sequence[Statement], *, comment: str = "", check: Check | None = None
) -> tuple[AccessKey, str]:
    """Add a key to the file, which is made if missing; return the key and its secret, which is stored nowhere.

    It is on the disk when this returns, and so is every other change below; all servers of the file follow it.

    Raises:
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    key, secret = new_key(statements, comment)
    with _edited(path, check) as keys:
        keys[key.id] = key
    return key, secret


def disable_key(path: Path, key_id: str, *, check: Check | None = None) -> AccessKey:
    """Disable a key, so that calls signed with it are refused, and return it. A second time changes nothing.

    Raises:
        NotFoundError: There is no such key.
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    return _set_disabled(path, key_id, check, disabled=True)


def enable_key(path: Path, key_id: str, *, check: Check | None = None) -> AccessKey:
    """Accept calls that are signed with a disabled key again, and return it. A second time changes nothing.

    Raises:
        NotFoundError: There is no such key.
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    return _set_disabled(path, key_id, check, disabled=False)


def rotate_key(path: Path, key_id: str, *, grace: float, check: Check | None = None) -> tuple[AccessKey, str]:
    """Give a key another secret; return the key and the secret, which is stored nowhere.

    All secrets that it had are valid for `grace` seconds more, and none of them for longer. Those of a disabled key end
    at once, and it stays disabled.

    Raises:
        InvalidParameterError: `grace` is negative, or more than `LONGEST_GRACE`.
        NotFoundError: There is no such key.
        PreconditionFailedError: Too many former secrets are still valid.
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    if not 0 <= grace <= LONGEST_GRACE:
        raise InvalidParameterError(
            f"a former secret is valid for 0 to {LONGEST_GRACE} seconds, 30 days, not {grace!r}; give another time"
        )
    derived, secret = new_secret()
    with _edited(path, check) as keys:
        known, now = _found(keys, key_id, path), present()
        grace = 0 if known.disabled else grace
        former = _shortened(known, now, now + timedelta(seconds=grace))
        if len(former) > MOST_FORMER:
            until = min(each.until for each in known.former if each.until > now)
            raise PreconditionFailedError(
                f"{MOST_FORMER} former secrets of the access key {key_id!r} are still valid, one of them until "
                f"{until:%Y-%m-%d %H:%M:%S} UTC; wait until then, or end them all at once with --for 0s, a grace of 0"
            )
        keys[key_id] = replace(known, key=derived, former=former, changed_at=now)
    return keys[key_id], secret


def remove_key(path: Path, key_id: str, *, check: Check | None = None) -> AccessKey:
    """Remove a disabled key for good, and return it as it was.

    Raises:
        NotFoundError: There is no such key.
        PreconditionFailedError: It is enabled.
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    with _edited(path, check) as keys:
        known = _found(keys, key_id, path)
        if not known.disabled:
            raise PreconditionFailedError(f"the access key {key_id!r} is enabled; disable it before it is removed")
        return keys.pop(key_id)


def _set_disabled(path: Path, key_id: str, check: Check | None, *, disabled: bool) -> AccessKey:
    with _edited(path, check) as keys:
        known = _found(keys, key_id, path)
        if known.disabled != disabled:
            keys[key_id] = replace(known, disabled=disabled, changed_at=present())
        return keys[key_id]


def _found(keys: dict[str, AccessKey], key_id: str, path: Path) -> AccessKey:
    if key_id not in keys:
        raise NotFoundError(f"there is no access key {key_id!r} in {path}; 'lucas-storage keys list' shows them")
    return keys[key_id]


def _shortened(known: AccessKey, now: datetime, until: datetime) -> tuple[FormerSecret, ...]:
    """Return the secrets of a key as former ones, none of them valid after `until`, without those that have ended."""
    former = (FormerSecret(key=known.key, until=until), *known.former)
    return tuple(replace(each, until=min(each.until, until)) for each in former if min(each.until, until) > now)


@contextmanager
def _edited(path: Path, check: Check | None) -> Iterator[dict[str, AccessKey]]:
    """Yield the keys for changes by one process at a time; write what has changed when the block ends without an error.

    Raises:
        StorageError: Of `check`, or the file is damaged.
    """
    make_directory(path.parent, mode=0o700)
    # a file of its own: the key file is replaced, and a lock on it would be one on a file that is gone
    with file_locks.locked(path.with_name(f".{path.name}.lock")):
        if check is not None:
            check()
        before = path.stat().st_mtime_ns if path.exists() else 0
        keys = read_keys(path) if before else {}
        found = dict(keys)
        yield keys
        if keys != found:
            _write(path, keys)
            _date_later(path, before)


def _write(path: Path, keys: dict[str, AccessKey]) -> None:
    content = {"format": _FORMAT, "keys": [as_record(key) for key in keys.values()]}
    # durable: a power cut must not bring back a file in which a disabled key is enabled
    replace_private(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", durable=True)


def _date_later(path: Path, before: int) -> None:
    """Make the file younger than the one that it replaced.

    A clock ticks every few milliseconds only. Of three changes in one tick the last may get inode, time and size of the
    first, and a server that had read that one would not notice it.
    """
    if path.stat().st_mtime_ns <= before:
        os.utime(path, ns=(before + 1, before + 1))
