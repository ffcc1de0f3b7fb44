"""The file of access keys: read by servers, changed by ``lucas-storage keys``.

It holds what verifies a signature, derived from the secret; the secret itself is shown once and kept nowhere. What
verifies can also sign for this service, so the file is for its owner's eyes only.
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
from pathlib import Path
from typing import Any, Final

from actorc.storage import file_locks
from actorc.storage._wire.call_signing import derived_key
from actorc.storage.errors import InvalidParameterError, NotFoundError, StorageError
from actorc.storage.ownership import check_writers, replace_private

from .access import EVERYTHING, Principal, Statement

_FORMAT: Final = 1
_BASE32: Final = string.ascii_uppercase + "234567"
_ID_CHARACTERS: Final = 18
_SECRET_BYTES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """One key, as the server knows it."""

    id: str
    """``AK`` and 18 characters; no secret."""
    key: bytes = field(repr=False)
    """What `derived_key` made of the secret."""
    created_at: datetime
    """Aware, UTC."""
    disabled: bool = False
    comment: str = ""
    statements: tuple[Statement, ...] = ()

    @property
    def principal(self) -> Principal:
        """Whom the key stands for."""
        return Principal(access_key=self.id, statements=self.statements)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """What `own_key` made."""

    key: AccessKey
    closes: bool
    """Whether a server with it is closed to everybody else from the start; if not, keys in the file close it."""


def read_keys(path: Path) -> dict[str, AccessKey]:
    """Return the keys of the file by their ids, oldest first.

    Raises:
        StorageError: It cannot be read, is damaged, or of an unknown format, or another user can have written it.
    """
    try:
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
    """Add a key to the file, made if it does not exist; return the key and its secret, which nobody can ask for again.

    Raises:
        StorageError: The file is damaged.
        OSError: It cannot be written.
    """
    key, secret = _made(statements, comment)
    with _edited(path) as keys:
        keys[key.id] = key
    return key, secret


def own_key(*, closes: bool) -> tuple[OwnKey, str]:
    """Return a key for everything, in no file, and its secret: what a server tells its own user alone.

    Args:
        closes: Whether nobody else gets in, even if there are no other keys.
    """
    key, secret = _made([EVERYTHING], "")
    return OwnKey(key, closes=closes), secret


def _made(statements: Sequence[Statement], comment: str) -> tuple[AccessKey, str]:
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
    """Refuse whoever uses a key from now on; return it. A second time changes nothing.

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
    """Offer the keys for changes by one process at a time, and replace the file as a whole when the block ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_locks.locked(path.with_name(f".{path.name}.lock")):
        keys = read_keys(path) if path.exists() else {}
        yield keys
        content = {"format": _FORMAT, "keys": [as_record(key) for key in keys.values()]}
        replace_private(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", durable=True)


def as_record(key: AccessKey) -> dict[str, Any]:
    """Return a key as JSON can hold it; it can sign, so it is a secret."""
    return {
        "id": key.id,
        "key": key.key.hex(),
        "created_at": key.created_at.isoformat(),
        "disabled": key.disabled,
        "comment": key.comment,
        "allow": [str(statement) for statement in key.statements],
    }


def from_record(record: Mapping[str, Any]) -> AccessKey:
    """Return the key that `as_record` described.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It describes none.
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
