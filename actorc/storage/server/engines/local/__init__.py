"""The durable engine: immutable files beside a SQLite index, on one machine."""

from .backup.backup import KEPT, Backup, back_up
from .backup.manifest import Manifest
from .backup.restore import ListedSnapshot, Restored, check, restore, snapshots
from .disk.fsops import FsOps
from .engine import LocalEngine
from .index.retention import Retention
from .maintenance.fsck_index import Finding, inspect
from .maintenance.rebuild import Rebuild
from .writers import INLINE_MAX

__all__ = [
    "INLINE_MAX",
    "KEPT",
    "Backup",
    "Finding",
    "FsOps",
    "ListedSnapshot",
    "LocalEngine",
    "Manifest",
    "Rebuild",
    "Restored",
    "Retention",
    "back_up",
    "check",
    "inspect",
    "restore",
    "snapshots",
]
