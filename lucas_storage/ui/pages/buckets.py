"""Buckets, and the keys of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actorc.storage.models import BucketResult, ListResult, ObjectHead
from actorc.storage.units import shown_size
from lucas_storage.ui.elements import Html, element, joined, link, note, table

from .page import Page, Reader
from .shown import when


def buckets_page(found: Sequence[BucketResult], reader: Reader) -> Page:
    """Return the list of buckets."""
    words = reader.words
    rows = (
        (link(reader.links.to("objects", bucket=each["name"]), each["name"]), when(each["created_at"]))
        for each in found
    )
    head = (words("buckets.name"), words("buckets.made"))
    body = table(words("menu.buckets"), head, rows) if found else note(words("buckets.none"))
    return Page(title=words("menu.buckets"), body=body, menu="buckets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Some keys of a bucket."""

    found: ListResult
    is_first: bool
    """Whether nothing comes before them."""
    is_flat: bool
    """Whether all keys below the prefix are listed, and not only those up to the next slash."""


def listing_page(listing: Listing, reader: Reader) -> Page:
    """Return keys of a bucket, with links to those that follow."""
    words, found = reader.words, listing.found
    rows = [*_folders(found, reader), *(_row(found["bucket"], head, reader) for head in found["objects"])]
    names = ("key", "size", "type", "stored")
    shown = table(words("objects.list"), [words(f"objects.{name}") for name in names], rows)
    body = joined(
        _path(found, reader),
        _form(listing, reader),
        shown if rows else note(words("objects.none")),
        _pages(listing, reader),
    )
    return Page(title=found["bucket"], body=body, menu="buckets")


def _folders(found: ListResult, reader: Reader) -> list[tuple[str, ...]]:
    return [
        (_below(found["bucket"], prefix, reader, prefix.removeprefix(found["prefix"])), "", "", "")
        for prefix in found["common_prefixes"]
    ]


def _row(bucket: str, head: ObjectHead, reader: Reader) -> tuple[str, ...]:
    address = reader.links.to("object", bucket=bucket, key=head["key"])
    return link(address, head["key"]), shown_size(head["size"]), head["content_type"], when(head["last_modified"])


def _path(found: ListResult, reader: Reader) -> Html:
    """Return the bucket and each part of the prefix, each a link to what is below it."""
    parts = [link(reader.links.to("buckets"), reader.words("menu.buckets"))]
    parts.append(_below(found["bucket"], "", reader, found["bucket"]))
    folders = found["prefix"].split("/")[:-1][:50]
    for number, folder in enumerate(folders):
        parts.append(_below(found["bucket"], "/".join(folders[: number + 1]) + "/", reader, folder))
    items = (element("li", part) for part in parts)
    return element("nav", element("ol", *items, class_="path"), aria_label=reader.words("objects.path"))


def _below(bucket: str, prefix: str, reader: Reader, name: str) -> Html:
    return link(reader.links.to("objects", bucket=bucket, prefix=prefix or None), name or "/")


def _form(listing: Listing, reader: Reader) -> Html:
    words, found = reader.words, listing.found
    return element(
        "form",
        element("input", type="hidden", name="bucket", value=found["bucket"]),
        element("label", words("objects.prefix"), element("input", name="prefix", value=found["prefix"])),
        element(
            "label",
            words("objects.flat"),
            element("input", type="checkbox", name="flat", value="1", checked=listing.is_flat),
        ),
        element("button", words("filter"), type="submit"),
        method="get",
        action=reader.links.to("objects"),
        role="search",
    )


def _pages(listing: Listing, reader: Reader) -> Html:
    words, found = reader.words, listing.found
    here = {"bucket": found["bucket"], "prefix": found["prefix"] or None, "flat": "1" if listing.is_flat else None}
    links = []
    if not listing.is_first:
        links.append(link(reader.links.to("objects", **here), words("objects.first")))
    if found["next_page_token"]:
        links.append(link(reader.links.to("objects", **here, token=found["next_page_token"]), words("objects.next")))
    count = words("objects.count", count=len(found["objects"]) + len(found["common_prefixes"]))
    return element("p", element("span", count, class_="faint"), *(joined(" ", each) for each in links))
