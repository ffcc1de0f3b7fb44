"""Access keys as commands and pages list and change them: in their file, or over the API of a server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actorc.storage.access_keys import AccessKeyResult, NewAccessKeyResult
    from actorc.storage.server.auth.access_keys import AccessKey


class KeyChanges(Protocol):
    """Lists and changes access keys, as `actorc.storage.access_keys.AccessKeys` does."""

    def list_keys(self) -> list[AccessKeyResult]:
        """Return all keys, the oldest first."""

    def add_key(self, allow: Sequence[str], *, comment: str = "") -> NewAccessKeyResult:
        """Make a key; return it with its secret."""

    def rotate_key(self, access_key: str, *, grace: float) -> NewAccessKeyResult:
        """Give a key another secret, and let those that it had be valid for some seconds more; return it with that."""

    def disable_key(self, access_key: str) -> AccessKeyResult:
        """Refuse all requests with a key from now on."""

    def enable_key(self, access_key: str) -> AccessKeyResult:
        """Accept requests with a disabled key again."""

    def remove_key(self, access_key: str) -> AccessKeyResult:
        """Remove a disabled key for good; return it as it was."""


class FileKeys:
    """The access keys of a file, for who may write to it. Threads and processes may change it at the same time.

    Args:
        file: As ``serve --keys`` takes it; made with the first key.
        named: What the user named, the file or the directory that it is in, without which nothing can be listed; None:
            nothing.
    """

    def __init__(self, file: Path, *, named: Path | None = None) -> None:
        # here, since it loads what a server needs, and the help of a command needs none of that
        from actorc.storage.server.auth import key_file  # noqa: PLC0415

        self.file = file
        self._named = named
        self._changes = key_file

    def list_keys(self) -> list[AccessKeyResult]:
        """Return all keys, the oldest first.

        Raises:
            StorageError: The file cannot be read, or is damaged.
            OSError: `named` does not exist, or is of the wrong kind.
        """
        try:
            self.file.stat()
        except FileNotFoundError:
            if self._named is not None:
                self._named.stat()
            return []
        return [_described(each) for each in self._changes.read_keys(self.file).values()]

    def add_key(self, allow: Sequence[str], *, comment: str = "") -> NewAccessKeyResult:
        """Make a key; return it with its secret.

        Raises:
            InvalidParameterError: A statement is none.
            StorageError: The file is damaged.
        """
        from actorc.storage.server.auth.access import Statement  # noqa: PLC0415  # as above

        key, secret = self._changes.add_key(self.file, list(map(Statement.parse, allow)), comment=comment)
        return {**_described(key), "secret_key": secret}

    def rotate_key(self, access_key: str, *, grace: float) -> NewAccessKeyResult:
        """Give a key another secret; return it with that.

        Raises:
            InvalidParameterError: `grace` is not allowed.
            NotFoundError: There is no such key.
            PreconditionFailedError: Too many former secrets are valid.
        """
        key, secret = self._changes.rotate_key(self.file, access_key, grace=grace)
        return {**_described(key), "secret_key": secret}

    def disable_key(self, access_key: str) -> AccessKeyResult:
        """Refuse all requests with a key from now on; return it.

        Raises:
            NotFoundError: There is no such key.
        """
        return _described(self._changes.disable_key(self.file, access_key))

    def enable_key(self, access_key: str) -> AccessKeyResult:
        """Accept requests with a disabled key again; return it.

        Raises:
            NotFoundError: There is no such key.
        """
        return _described(self._changes.enable_key(self.file, access_key))

    def remove_key(self, access_key: str) -> AccessKeyResult:
        """Remove a disabled key for good; return it as it was.

        Raises:
            NotFoundError: There is no such key.
            PreconditionFailedError: It is enabled.
        """
        return _described(self._changes.remove_key(self.file, access_key))


def _described(key: AccessKey) -> AccessKeyResult:
    return {
        "access_key": key.id,
        "disabled": key.disabled,
        "allow": [str(statement) for statement in key.statements],
        "comment": key.comment,
        "created_at": key.created_at,
        "changed_at": key.changed_at,
        "former_until": key.former_until(time.time()),
    }
