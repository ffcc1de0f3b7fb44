"""The data directory that is backed up: its identity, its blobs, and what must not be its backup."""

from __future__ import annotations

import json
from pathlib import Path

from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.server.engines.local.disk import removal_pause
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.quarantine import Quarantine

from . import snapshot_files


class SourceDirectory:
    """A data directory, not locked: servers may use it.

    Args:
        root: The directory.
        fsops: The disk.

    Raises:
        InvalidParameterError: It is no data directory.
        StorageError: Its label is damaged.
    """

    def __init__(self, root: Path, fsops: FsOps) -> None:
        self.root = root.absolute()
        self.database = snapshot_files.place(self.root, snapshot_files.INDEX)
        self.removal_pause = removal_pause.path_of(self.root)
        quarantine = Quarantine(self.root / "quarantine", fsops)
        self.blobs = Blobs(self.root / "blobs", self.root / "staging", quarantine, fsops, Health())
        label = self.root / snapshot_files.LABEL
        try:
            self.store = str(json.loads(label.read_bytes())["store"])
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidParameterError(
                f"{root} is no data directory; name the one that 'serve --data' was given, on its own machine"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{label} is damaged; let 'lucas-storage fsck {root}' say what to do") from error

    def check_target(self, target: Path) -> None:
        """Raise `InvalidParameterError` if `target` is this directory, or one is within the other."""
        ours, theirs = self.root.resolve(), target.resolve()
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            raise InvalidParameterError(f"{target} and {self.root} are one within the other; choose another target")
