"""An upload on its way to become an object: a manifest on the disk says of which parts, before the index does."""

from __future__ import annotations

from collections.abc import Sequence

from actorc.storage.models import Condition, ObjectInfo
from actorc.storage.server.engines.base import PartChoice

from .disk.blobs import Blobs
from .disk.errors import Health
from .disk.trailer import Trailer, pack_trailer
from .index.index import Index
from .readers_writers import LocalWriter
from .rows import Segment


class LocalCompletion(LocalWriter):
    """One upload that is completed.

    The manifest is a blob like any other, the last segment of the object, without a byte of it. Without it nobody could
    tell which parts an object had, and in which order, once the index is lost.

    Args:
        bucket: That of the upload.
        key: That of the upload.
        index: Where the object is published.
        blobs: Where the manifest goes.
        health: Says after a failed commit whether it can still be told what is on the disk.
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
        if not trailer.pieces:  # the upload is not there, or has other parts; the transaction tells what to answer
            return Segment(size=0, sums=())
        trailer.order, trailer.written_us = self._index.reserve()
        self._staged = self._blobs.stage()
        return Segment(size=0, sums=(), file=self._staged.publish(pack_trailer(trailer)), order=trailer.order)
