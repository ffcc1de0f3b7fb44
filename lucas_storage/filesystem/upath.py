"""Paths of universal_pathlib over the file system: ``UPath("lucas://bucket/key")``."""

from __future__ import annotations

from upath.implementations.cloud import CloudPath


class LucasPath(CloudPath):
    """A path of a bucket, or of an object in one; a `UPath`, which has the methods of `pathlib.Path`."""

    __slots__ = ()
