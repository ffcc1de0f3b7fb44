"""One object, and one artifact: what it is, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actorc.storage.models import ObjectHead
from actorc.storage.units import shown_size
from lucas_storage.previews.preview import Preview
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, element, facts, joined, link, prose, section, table

from .page import Page, Reader
from .previews import preview_of, unread
from .shown import when


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The beginning of an object or artifact, or the reason why it is not shown."""

    preview: Preview | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectView:
    """An object as it is stored, under any key."""

    bucket: str
    head: ObjectHead
    content: Content
    artifact: Html | None = None
    """The way to the artifact that it holds, if it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactView:
    """An artifact, by its reference."""

    ref: ArtifactRef
    stored_at: Html | None
    content: Content
    why: Html | None = None
    """Where it comes from, who read it, and what keeps it."""


def object_page(view: ObjectView, reader: Reader) -> Page:
    """Return the page of an object."""
    words, head = reader.words, view.head
    metadata = sorted(head["metadata"].items())[:200]
    names = (words("object.name"), words("object.value"))
    body = joined(
        _way(view.bucket, head["key"], reader),
        facts(_object_facts(view, reader)),
        _download(view.bucket, head["key"], reader),
        element("p", view.artifact) if view.artifact else None,
        section(words("object.metadata"), table(words("object.metadata"), names, metadata)) if metadata else None,
        section(words("object.preview"), content_of(view.content, reader)),
    )
    return Page(title=head["key"][:200], body=body, menu="buckets")


def artifact_page(view: ArtifactView, reader: Reader) -> Page:
    """Return the page of an artifact."""
    words, ref = reader.words, view.ref
    is_object = ref.kind == "blob"
    body = joined(
        facts(_artifact_facts(view, reader)),
        _download(ref.bucket, ref.key, reader, ref.filename) if is_object else None,
        section(words("object.preview"), content_of(view.content, reader)),
        view.why,
        section(words("artifact.ref"), element("p", element("code", prose(replace(ref, signature=None).uri))))
        if ref.inline is None
        else None,
    )
    title = ref.filename or words("artifact.title", format=ref.format)
    return Page(title=title, body=body, menu="buckets")


def content_of(content: Content, reader: Reader) -> Html:
    """Return the beginning of an object, or the reason why it is not shown."""
    return unread(content.unread, reader) if content.preview is None else preview_of(content.preview, reader)


def _object_facts(view: ObjectView, reader: Reader) -> dict[str, str | None]:
    words, head = reader.words, view.head
    return {
        words("objects.size"): f"{shown_size(head['size'])} ({head['size']:,})",
        words("objects.type"): head["content_type"],
        words("objects.stored"): when(head["last_modified"]),
        words("object.expires"): when(head["expires_at"]) if head["expires_at"] else None,
        "etag": head["etag"],
        words("object.generation"): str(head["generation"]),
        "CRC-32C": head["crc32c"],
    }


def _artifact_facts(view: ArtifactView, reader: Reader) -> dict[str, str | None]:
    words, ref = reader.words, view.ref
    place = link(reader.links.to("object", bucket=ref.bucket, key=ref.key), f"{ref.bucket}/{ref.key}")
    return {
        words("artifact.format"): ref.format,
        words("objects.size"): f"{shown_size(ref.size)} ({ref.size:,})",
        words("artifact.kind"): words(f"kind.{ref.kind}"),
        words("objects.stored"): view.stored_at,
        words("artifact.run"): link(reader.links.to("run", id=ref.run), ref.run) if ref.run else None,
        words("artifact.signed"): words("yes") if ref.signature else None,
        words("artifact.place"): place if ref.inline is None else None,
        "SHA-256": (ref.digest or "").removeprefix("sha256:") or None,
    }


def _download(bucket: str, key: str, reader: Reader, name: str | None = None) -> Html:
    address = reader.links.to("download", bucket=bucket, key=key, name=name)
    return element("p", link(address, reader.words("object.download"), download=True))


def _way(bucket: str, key: str, reader: Reader) -> Html:
    folder = f"{key.rpartition('/')[0]}/" if "/" in key else None
    return element("p", link(reader.links.to("objects", bucket=bucket, prefix=folder), f"{bucket}/{folder or ''}"))
