"""Reads buckets, keys, objects and artifacts."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from actorc.storage.errors import PermissionError
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import StorageError
from lucas_storage.gc.plan import is_collected
from lucas_storage.lineage.provenance.explanation import consequences, explain
from lucas_storage.lineage.provenance.named_artifact import artifact_named
from lucas_storage.previews.preview import preview, preview_object
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, link, note
from lucas_storage.ui.pages.buckets import Listing, buckets_page, listing_page
from lucas_storage.ui.pages.objects import ArtifactView, Content, ObjectView, artifact_page, object_page
from lucas_storage.ui.pages.page import Page
from lucas_storage.ui.pages.shown import when
from lucas_storage.ui.pages.why import explanation, uses_page

from .request import Request

_KEYS: Final = 200
"""Keys of one page."""
ROWS: Final = 20
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
    view = ObjectView(bucket=bucket, head=head, content=content, artifact=_artifact_link(request, bucket, key))
    return object_page(view, request.reader)


def _artifact_link(request: Request, bucket: str, key: str) -> Html | None:
    """Return the way to the artifact that an object holds, if it does."""
    if bucket != request.storage.bucket or not is_collected(request.storage, key):
        return None
    return link(request.reader.links.to("artifact", key=key), request.reader.words("object.artifact"))


def artifact(request: Request) -> Page:
    """Return the page of an artifact."""
    ref = _asked(request)
    stored_at = request.storage.stat(ref).stored_at
    view = ArtifactView(
        ref=ref,
        stored_at=None if stored_at is None else when(stored_at),
        content=content_of(request.storage, ref, ROWS),
        why=_why(request, ref),
    )
    return artifact_page(view, request.reader)


def uses(request: Request) -> Page:
    """Return the page about what was made from an artifact."""
    return uses_page(consequences(request.storage, _asked(request)), request.reader)


def _asked(request: Request) -> ArtifactRef:
    """Return the artifact of a reference, or of the key of its object, by the records that name it."""
    key = request.query.get("key")
    return artifact_named(request.storage, key) if key else ArtifactRef.parse(request.text("ref"))


def _why(request: Request, ref: ArtifactRef) -> Html | None:
    """Return where an artifact comes from; None for one that no record names: elsewhere, or within a reference."""
    storage = request.storage
    if ref.inline is not None or (ref.store, ref.bucket) != (storage.store_name, storage.bucket):
        return None
    try:
        return explanation(explain(storage, ref), request.reader)
    except PermissionError as error:  # the artifact may be read, and the records may not
        return note(error.message)


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
    except Exception as error:  # noqa: BLE001  # whatever a library says of strange bytes: the rest of the page is shown
        return Content(unread=type(error).__name__)


def _content_of_object(storage: ArtifactStore, bucket: str, key: str) -> Content:
    try:
        return Content(preview=preview_object(storage, bucket, key, ROWS))
    except StorageError as error:
        return Content(unread=error.message)
    except Exception as error:  # noqa: BLE001  # as above
        return Content(unread=type(error).__name__)


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
