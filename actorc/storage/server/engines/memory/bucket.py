"""A bucket in memory: objects in byte order of their keys, and uploads under way."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from actorc.storage.models import (
    BucketInfo,
    Condition,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    UploadInfo,
    UploadPage,
)
from actorc.storage.server.engines.listing import Span


@dataclass(frozen=True, slots=True)
class Segment:
    """The bytes of one write, immutable, and the checksums of their blocks."""

    data: bytes
    sums: list[int]

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object."""

    info: ObjectInfo
    segments: tuple[Segment, ...]


@dataclass(slots=True)
class Upload:
    """A multipart upload under way."""

    info: UploadInfo
    attributes: ObjectAttributes
    condition: Condition
    touched: datetime
    parts: dict[int, tuple[PartInfo, Segment]] = field(default_factory=dict)


class Bucket:
    """The content of one bucket. Not thread-safe; the engine holds its lock.

    Args:
        info: Description of the bucket.
    """

    def __init__(self, info: BucketInfo) -> None:
        self.info = info
        self.uploads: dict[str, Upload] = {}  # the one touched longest ago first
        self._objects: dict[bytes, StoredObject] = {}
        self._names: list[bytes] = []
        self._expiring: list[tuple[datetime, bytes, int]] = []

    def expire(self, now: datetime, abandoned: datetime) -> None:
        """Remove expired objects, and uploads not touched since `abandoned`."""
        while self._expiring and self._expiring[0][0] <= now:
            _, name, generation = heappop(self._expiring)
            stored = self._objects.get(name)
            # the entry may be of a generation that was replaced since
            if stored and stored.info.generation == generation:
                self.remove(name)
        while self.uploads and (oldest := next(iter(self.uploads.values()))).touched <= abandoned:
            del self.uploads[oldest.info.upload_id]

    def find(self, name: bytes) -> StoredObject | None:
        """Return the object of this name, or None."""
        return self._objects.get(name)

    def store(self, name: bytes, stored: StoredObject) -> None:
        """Store an object under a name, replacing the current one."""
        if name not in self._objects:
            insort(self._names, name)
        self._objects[name] = stored
        if stored.info.expires_at:
            heappush(self._expiring, (stored.info.expires_at, name, stored.info.generation))

    def remove(self, name: bytes) -> bool:
        """Remove the object of this name; return whether there was one."""
        if self._objects.pop(name, None) is None:
            return False
        del self._names[bisect_left(self._names, name)]
        return True

    def add_part(self, upload: Upload, info: PartInfo, segment: Segment) -> None:
        """Add a part to its upload, replacing one of the same number."""
        upload.parts[info.number] = info, segment
        upload.touched = info.last_modified
        # moved to the end, since `expire` looks at the uploads in order of their last part
        self.uploads[upload.info.upload_id] = self.uploads.pop(upload.info.upload_id)

    def page(self, query: ListQuery) -> ObjectPage:
        """Return the first `query.limit` names behind `query.after`."""
        span = Span.of(query)
        names: list[bytes] = []
        at = bisect_left(self._names, span.lower)
        while at < len(self._names) and self._names[at] < span.upper and len(names) <= query.limit:
            key = self._names[at]
            names.append(span.common_prefix(key) or key)
            at = bisect_left(self._names, span.next_after(key))
        page = names[: query.limit]
        shown = [self._objects[name].info if span.common_prefix(name) is None else name.decode() for name in page]
        return ObjectPage.of(shown, more=len(names) > len(page))

    def upload_page(self, prefix: str, after: tuple[str, str] | None, limit: int) -> UploadPage:
        """Return the first `limit` uploads behind `after` whose keys begin with `prefix`."""
        least = (after[0].encode(), after[1]) if after else (b"", "")
        names = sorted(
            (upload.info.key.encode(), upload_id)
            for upload_id, upload in self.uploads.items()
            if upload.info.key.startswith(prefix)
        )
        found = [self.uploads[name[1]].info for name in names if name > least]
        return UploadPage.of(found[:limit], more=len(found) > limit)

    @property
    def is_empty(self) -> bool:
        """Whether the bucket contains no object."""
        return not self._objects
