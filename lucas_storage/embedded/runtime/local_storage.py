"""`rt.storage` on one machine: one file per value below a directory."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from lucas_storage.embedded.runtime.runtime import StorageMethods

STAGING = ".tmp"
PICKLE_MARK = b"\x80"
POLL_SECONDS = 0.02

# Wakes the readers of this process at once; values of other processes are found by a look every POLL_SECONDS.
_put_here = threading.Condition()


class LocalStorage(StorageMethods):
    """Files below `store_path`; a reader sees a whole value or none, and no name leads outside.

    Args:
        store_path: The directory, made at the first put, so that a function that stores nothing leaves none.
    """

    def __init__(self, store_path: str = "./local_storage") -> None:
        self.storage_path = str(Path(store_path).absolute())

    def put(self, filename: str, data: Any) -> None:
        """Store `data` under `filename`, replacing any present value in one step."""
        target = self._path(filename)
        # Before a directory is made: a value that cannot be pickled leaves nothing behind.
        content = pickle.dumps(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._publish(content, target)
        with _put_here:
            _put_here.notify_all()

    def get(self, filename: str, timeout: int = -1) -> Any:
        """Return the value of `filename`, waiting `timeout` ms for it (negative: for ever), or None."""
        path = self._path(filename)
        deadline = None if timeout < 0 else time.monotonic() + timeout / 1000
        with _put_here:
            # Looked for while the condition is held, so that a put between the look and the wait is not missed.
            while (content := _content(path)) is None:
                left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())
                if left <= 0:
                    return None
                _put_here.wait(left)
        return _value(content)

    def list(self) -> list[str]:
        """Return all names, sorted; none before the first put."""
        root = Path(self.storage_path)
        names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.startswith(f"{STAGING}/"))

    def exists(self, filename: str) -> bool:
        """Return whether there is a value under `filename`."""
        return self._path(filename).is_file()

    def delete(self, filename: str) -> None:
        """Remove `filename`; a missing one is no error."""
        self._path(filename).unlink(missing_ok=True)

    def _publish(self, content: bytes, target: Path) -> None:
        # In the same file system, so that the rename is atomic and no reader sees half a value.
        staging = Path(self.storage_path, STAGING)
        staging.mkdir(exist_ok=True)
        staged = staging / uuid.uuid4().hex
        try:
            staged.write_bytes(content)
            staged.replace(target)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise

    def _path(self, filename: str) -> Path:
        # Names may come from data of a workflow, so none may lead out of the directory.
        root = Path(self.storage_path).resolve()
        parts = Path(filename).parts
        if not parts or ".." in parts or parts[0] == STAGING:
            raise ValueError(f"{filename!r} cannot name a value, because it is empty, reserved or contains '..'")
        path = root.joinpath(filename)
        # Resolved as well: a link below the directory may lead outside.
        if root not in path.resolve().parents:
            raise ValueError(f"{filename!r} cannot name a value, because it leads out of {self.storage_path}")
        return path


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _value(content: bytes) -> Any:
    # Part of the contract: a file without a pickle's first byte was made by hand, and is read as text.
    if content.startswith(PICKLE_MARK):
        return pickle.loads(content)  # noqa: S301 -- written by put, into the user's own directory
    return content.decode()
