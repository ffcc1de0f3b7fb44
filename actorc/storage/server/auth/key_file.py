"""The file of access keys, read by servers and changed by ``lucas-storage keys``.

It contains keys derived from the secrets; a secret is shown once and stored nowhere. A derived key verifies signatures
and can also make them, so only the owner may read the file.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from actorc.storage._wire.call_signing import derived_key
from actorc.storage.errors import InvalidParameterError, NotFoundError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import check_writers, replace_private

from .access import EVERYTHING, Principal, Statement

_FORMAT: Final = 1
_BASE32: Final = string.ascii_uppercase + "234567"
_ID_CHARACTERS: Final = 18
_SECRET_BYTES: Final = 30


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """One access key, as servers know it."""

    id: str
    """``AK`` and 18 characters; not secret."""
    key: bytes = field(repr=False)
    """The result of `derived_key` for the secret."""
    created_at: datetime
    """Aware, UTC."""
    disabled: bool = False
    comment: str = ""
    statements: tuple[Statement, ...] = ()

    @cached_property
    def principal(self) -> Principal:
        """The caller that the key identifies; one object, which learns what is allowed where."""
        return Principal(access_key=self.id, statements=self.statements)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that is in no file, from `own_key`."""

    key: AccessKey
    closes: bool
    """Whether a server with it refuses all other callers from the start; if not, keys in the file make it do so."""


def read_keys(path: Path) -> dict[str, AccessKey]:
    """Return the keys of the file by id, oldest first.

    Raises:
        StorageError: It cannot be read, is damaged, has an unknown format, or other users can write to it.
    """
    try:
        # the descriptor's status: the path may be replaced between reading and looking at the owner
        with path.open("rb") as file:
            status, content = os.fstat(file.fileno()), json.loads(file.read())
        if content["format"] != _FORMAT:
            raise StorageError(
                f"{path} has format {content['format']!r}, which this version of lucas-storage does not know; update it"
            )
        keys = [from_record(record) for record in content["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"the file of access keys {path} is damaged; restore it from a backup") from error
    except OSError as error:
        raise StorageError(f"the file of access keys {path} cannot be read ({error.strerror}); allow it") from error
    check_writers(path, status)
    return {key.id: key for key in keys}


def add_key(path: Path, statements: Sequence[Statement], *, comment: str = "") -> tuple[AccessKey, str]:
    """Add a key to the file, which is made if missing; return the key and its secret, which is stored nowhere.

    Raises:
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    key, secret = _new_key(statements, comment)
    with _edited(path) as keys:
        keys[key.id] = key
    return key, secret


def own_key(*, closes: bool) -> tuple[OwnKey, str]:
    """Return a key that allows everything and is in no file, and its secret; the server gives it to its own user only.

    Args:
        closes: Whether all other callers are refused, even if there are no other keys.
    """
    key, secret = _new_key([EVERYTHING], "")
    return OwnKey(key, closes=closes), secret


def _new_key(statements: Sequence[Statement], comment: str) -> tuple[AccessKey, str]:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key = AccessKey(
        id="AK" + "".join(secrets.choice(_BASE32) for _ in range(_ID_CHARACTERS)),
        key=derived_key(secret),
        created_at=datetime.now(UTC).replace(microsecond=0),
        comment=comment,
        statements=tuple(statements),
    )
    return key, secret


def disable_key(path: Path, key_id: str) -> AccessKey:
    """Disable a key, so that calls signed with it are refused, and return it. A second time changes nothing.

    Raises:
        NotFoundError: There is no such key.
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    with _edited(path) as keys:
        if key_id not in keys:
            raise NotFoundError(f"there is no access key {key_id!r} in {path}; 'lucas-storage keys list' shows them")
        keys[key_id] = replace(keys[key_id], disabled=True)
        return keys[key_id]


@contextmanager
def _edited(path: Path) -> Iterator[dict[str, AccessKey]]:
    """Yield the keys for changes by one process at a time; write the file when the block ends without an error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # a file of its own: the key file is replaced, and a lock on it would be one on a file that is gone
    with file_locks.locked(path.with_name(f".{path.name}.lock")):
        keys = read_keys(path) if path.exists() else {}
        yield keys
        content = {"format": _FORMAT, "keys": [as_record(key) for key in keys.values()]}
        # durable: a power cut must not bring back a file in which a disabled key is enabled
        replace_private(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", durable=True)


def as_record(key: AccessKey) -> dict[str, Any]:
    """Return a key in a form for JSON; it contains the derived key, so it is a secret."""
    return {
        "id": key.id,
        "key": key.key.hex(),
        "created_at": key.created_at.isoformat(),
        "disabled": key.disabled,
        "comment": key.comment,
        "allow": [str(statement) for statement in key.statements],
    }


def from_record(record: Mapping[str, Any]) -> AccessKey:
    """Return the key that `as_record` returned.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: The record is no key.
    """
    if not isinstance(record["disabled"], bool):
        raise InvalidParameterError("'disabled' is true or false")
    return AccessKey(
        id=str(record["id"]),
        key=bytes.fromhex(record["key"]),
        created_at=datetime.fromisoformat(record["created_at"]),
        disabled=record["disabled"],
        comment=str(record.get("comment", "")),
        statements=tuple(Statement.parse(text) for text in record["allow"]),
    )
