"""Routes about published names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final

import msgspec

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.server.api.json_text import shortened
from actorc.storage.server.api.routes import PageSize, PageToken, Request, Route
from lucas_storage.errors import NotFoundError
from lucas_storage.records import record_store
from lucas_storage.records.record_store import Record
from lucas_storage.records.untrusted_fields import moment_of, text_or_none
from lucas_storage.refs import ArtifactRef

from .request_store import OfStore, RequestStore
from .run_answers import uri_of

_MOST: Final = 1000
"""Records of one name that are told, of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePage:
    """Published names, in order."""

    names: tuple[str, ...]
    next_page_token: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An artifact that was published."""

    uri: str | None
    """The reference; null if the record is damaged."""
    size: int
    format: str
    digest: str | None
    version: str | None
    alias: str | None
    published_at: datetime
    run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedName:
    """A name with its versions, its aliases and its publications."""

    name: str
    versions: tuple[Publication, ...]
    aliases: tuple[Publication, ...]
    publications: tuple[Publication, ...]
    """The latest first."""


class OfNames(OfStore):
    """Those of a list of names."""

    prefix: Annotated[str, msgspec.Meta(max_length=128, description="Only names that begin with it.")] = ""
    page_size: PageSize = 100
    page_token: PageToken = ""


class OfName(OfStore, kw_only=True):
    """Those of one name."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="A published name.")]


def name_routes() -> list[Route]:
    """Return the routes about published names."""
    return [
        Route(
            path="/names",
            name="names",
            tag="names",
            summary="List published names.",
            answer=NamePage,
            handle=_names,
            parameters=OfNames,
        ),
        Route(
            path="/names/{name}",
            name="name",
            tag="names",
            summary="Tell what is published under a name: versions, aliases, publications.",
            answer=PublishedName,
            handle=_name,
            parameters=OfName,
        ),
    ]


def _names(request: Request, parameters: OfNames) -> NamePage:
    storage = RequestStore(request, parameters.bucket)
    prefix = record_store.NAMES + parameters.prefix
    try:
        page = storage.list_objects(
            storage.bucket,
            prefix,
            delimiter="/",
            max_keys=parameters.page_size,
            page_token=parameters.page_token or None,
            details=False,
        )
    except BucketNotFoundError:
        return NamePage(names=(), next_page_token="")
    names = (each.removeprefix(record_store.NAMES).rstrip("/") for each in page["common_prefixes"])
    return NamePage(names=tuple(names), next_page_token=page["next_page_token"] or "")


def _name(request: Request, parameters: OfName) -> PublishedName:
    storage = RequestStore(request, parameters.bucket)
    prefix = f"{record_store.NAMES}{parameters.name}/"
    heads = list(record_store.heads(storage, prefix))
    if not heads:
        raise NotFoundError(f"nothing is published as {parameters.name}; /names lists the names there are")
    versions = (head for head in heads if head["key"].startswith(f"{prefix}versions/"))
    aliases = (head for head in heads if head["key"].startswith(f"{prefix}aliases/"))
    others = (head for head in reversed(heads) if head["key"].count("/") == prefix.count("/"))
    return PublishedName(
        name=parameters.name,
        versions=_publications(record_store.read_all(storage, islice(versions, _MOST))),
        aliases=_publications(record_store.read_all(storage, islice(aliases, _MOST))),
        publications=_publications(record_store.read_all(storage, islice(others, _MOST))),
    )


def _publications(records: Iterable[Record | None]) -> tuple[Publication, ...]:
    return tuple(_publication(record.content or {}) for record in records if record is not None)


def _publication(content: dict[str, Any]) -> Publication:
    found = content.get("ref")
    ref = found if type(found) is ArtifactRef else None
    return Publication(
        uri=uri_of(ref) if ref else None,
        size=ref.size if ref else 0,
        format=ref.format if ref else "",
        digest=ref.digest if ref else None,
        version=_text(content.get("version")),
        alias=_text(content.get("alias")),
        published_at=datetime.fromtimestamp(moment_of(content.get("at")), UTC),
        run=_text(content.get("run")),
    )


def _text(found: Any) -> str | None:
    text = text_or_none(found)
    return None if text is None else shortened(text, 1000)
