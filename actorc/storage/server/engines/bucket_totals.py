"""Objects and bytes of buckets, as engines that count them tell."""

from __future__ import annotations

from typing import NamedTuple


class BucketTotal(NamedTuple):
    """The current objects of one bucket: neither replaced generations nor parts of unfinished uploads.

    An object that has expired counts until the sweep removes it.
    """

    bucket: str
    objects: int
    bytes: int
    """Of their content, as listings add it up; a copy has as many as its source."""
