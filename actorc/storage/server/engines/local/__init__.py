"""The durable engine: immutable files beside a SQLite index, on one machine."""

from .disk.fsops import FsOps
from .engine import LocalEngine
from .index.retention import Retention
from .maintenance.fsck_index import Finding, inspect
from .maintenance.rebuild import Rebuild
from .readers_writers import INLINE_MAX

__all__ = ["INLINE_MAX", "Finding", "FsOps", "LocalEngine", "Rebuild", "Retention", "inspect"]
