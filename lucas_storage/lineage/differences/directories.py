"""Differences of two directories, by the digests in their manifests; no file is read."""

from __future__ import annotations

from actorc.storage.units import shown_size
from lucas_storage.artifacts.manifest import Manifest, TreeFile

from .difference import CHANGES, Change, ContentDifference, counted


def compared(before: Manifest, after: Manifest) -> ContentDifference:
    """Return which files two directories do not share."""
    ours, theirs = ({file.path: file for file in each.files or ()} for each in (before, after))
    ours_only = set(before.folders) - set(after.folders)
    theirs_only = set(after.folders) - set(before.folders)
    paths = sorted(path for path in {**ours, **theirs} if ours.get(path) != theirs.get(path))
    added, removed = sum(path not in ours for path in paths), sum(path not in theirs for path in paths)
    changes = [Change.of(path, *_both(ours.get(path), theirs.get(path))) for path in paths[:CHANGES]]
    folders = [
        Change.of(f"{path}/", *(("empty", None) if path in ours_only else (None, "empty")))
        for path in sorted(ours_only | theirs_only)[: CHANGES - len(changes)]
    ]
    parts = (counted(added, "file") + " added", counted(removed, "file") + " removed")
    changed = counted(len(paths) - added - removed, "file") + " changed"
    return ContentDifference(
        kind="directory", summary=(f"{', '.join(parts)}, {changed}",), changes=(*changes, *folders)
    )


def _both(before: TreeFile | None, after: TreeFile | None) -> tuple[str | None, str | None]:
    if before is not None and after is not None and before.parts != after.parts and before.size == after.size:
        return f"{_shown(before)}, {_digest(before)}", f"{_shown(after)}, {_digest(after)}"
    return _shown(before) if before else None, _shown(after) if after else None


def _shown(file: TreeFile) -> str:
    return f"{shown_size(file.size)}{', executable' if file.executable else ''}"


def _digest(file: TreeFile) -> str:
    return "-".join(part.digest.removeprefix("sha256:")[:8] for part in file.parts[:2])
