"""Reads buckets, keys, objects and artifacts."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import StorageError
from lucas_storage.previews.preview import preview, preview_object
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.pages.buckets import Listing, buckets_page, listing_page
from lucas_storage.ui.pages.objects import ArtifactView, Content, ObjectView, artifact_page, object_page
from lucas_storage.ui.pages.page import Page
from lucas_storage.ui.pages.shown import when

from .request import Request

_KEYS: Final = 200
"""Keys of one page."""
ROWS: Final = 50
"""Rows, lines or values of a preview."""


def buckets(request: Request) -> Page:
    """Return the list of buckets."""
    return buckets_page(request.storage.list_buckets(), request.reader)


def listing(request: Request) -> Page:
    """Return some keys of a bucket."""
    bucket, prefix = request.text("bucket"), request.query.get("prefix", "")
    token, is_flat = request.query.get("token"), request.query.get("flat") == "1"
    found = request.storage.list_objects(
        bucket, prefix, _KEYS, delimiter="" if is_flat else "/", page_token=token or None
    )
    return listing_page(Listing(found=found, is_first=not token, is_flat=is_flat), request.reader)


def stored_object(request: Request) -> Page:
    """Return the page of an object."""
    bucket, key = request.text("bucket"), request.text("key")
    head = request.storage.head_object(bucket, key)
    content = _content_of_object(request.storage, bucket, key)
    return object_page(ObjectView(bucket=bucket, head=head, content=content), request.reader)


def artifact(request: Request) -> Page:
    """Return the page of an artifact."""
    ref = ArtifactRef.parse(request.text("ref"))
    stored_at = request.storage.stat(ref).stored_at
    view = ArtifactView(
        ref=ref,
        stored_at=None if stored_at is None else when(stored_at),
        content=content_of(request.storage, ref, ROWS),
    )
    return artifact_page(view, request.reader)


def content_of(storage: ArtifactStore, ref: ArtifactRef, count: int) -> Content:
    """Return the beginning of an artifact, or why it is not shown; of a store that does not answer, too.

    Args:
        storage: Any handle.
        ref: The artifact; a pickle is described, never loaded.
        count: Rows, lines or values.
    """
    try:
        return Content(preview=preview(storage, ref, count))
    except StorageError as error:
        return Content(unread=error.message)


def _content_of_object(storage: ArtifactStore, bucket: str, key: str) -> Content:
    try:
        return Content(preview=preview_object(storage, bucket, key, ROWS))
    except StorageError as error:
        return Content(unread=error.message)


def source_text(storage: ArtifactStore, ref: ArtifactRef, most: int) -> str | None:
    """Return the beginning of an artifact of text; None if it cannot be read.

    Args:
        storage: Any handle.
        ref: The artifact.
        most: Bytes at most.
    """
    try:
        with closing(storage.ranges(ref)) as file:
            return file.read(most).decode(errors="replace")
    except StorageError:
        return None
