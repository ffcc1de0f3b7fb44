"""Completion of a multipart upload: writes the manifest blob of its parts, then commits the object to the index.

The manifest comes first, since a committed object must be restorable from blobs alone (ADR 0020).
"""

from __future__ import annotations

from collections.abc import Sequence

from actorc.storage.models import Condition, ObjectInfo
from actorc.storage.server.engines.base import PartChoice

from .disk.blobs import Blobs
from .disk.health import Health
from .disk.staged_blob import StagedBlob
from .disk.trailer import Trailer
from .index.index import Index
from .rows import Segment
from .writers import LocalWriter


class LocalCompletion(LocalWriter):
    """The completion of one upload. For one thread.

    The manifest is an empty last segment of the object. If the index is lost, only the manifest tells which parts the
    object had, and in which order.

    Args:
        bucket: Bucket of the upload.
        key: Key of the upload.
        index: The index, which publishes the object.
        blobs: The blobs, among them the manifest.
        health: Whether the state on disk is still known after a failed commit.
    """

    def __init__(self, bucket: str, key: str, *, index: Index, blobs: Blobs, health: Health) -> None:
        super().__init__(index=index, declared_size=None, blobs=blobs, health=health)
        self._name = (bucket, key)

    def commit(
        self, upload_id: str, parts: Sequence[PartChoice], condition: Condition, *, idempotency_key: str
    ) -> ObjectInfo:
        """Make the object, as `Engine.complete_upload` promises."""
        bucket, key = self._name
        return self._commit(
            self._index.uploads.manifest(bucket, key, upload_id, parts),
            lambda segment: self._index.uploads.complete(
                bucket, key, upload_id, parts, condition, manifest=segment, idempotency_key=idempotency_key
            ),
        )

    def _segment(self, trailer: Trailer) -> Segment:
        if not trailer.pieces:  # the upload is gone or has other parts; the transaction raises the error
            return Segment(size=0, sums=())
        trailer.order, trailer.written_us = self._index.reserve()
        self._staged = StagedBlob(self._blobs)
        return self._published(self._staged, trailer)
