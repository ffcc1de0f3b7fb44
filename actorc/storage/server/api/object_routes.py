"""Routes about buckets and objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from actorc.storage._wire.url_signing import MAX_EXPIRES
from actorc.storage.models import BucketInfo, ObjectInfo
from actorc.storage.rules import MAX_KEY_CHARACTERS
from actorc.storage.server.auth.access import Principal

from .routes import BucketName, Content, Key, PageSize, PageToken, Parameters, Request, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPage:
    """Buckets, in order of name."""

    buckets: tuple[Bucket, ...]
    next_page_token: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """The current generation of an object."""

    bucket: str
    key: str
    size: int
    etag: str
    generation: int
    crc32c: str
    content_type: str
    metadata: dict[str, str]
    last_modified: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPage:
    """Objects and common prefixes, each in byte order of the UTF-8 keys."""

    objects: tuple[Object, ...]
    common_prefixes: tuple[str, ...]
    next_page_token: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """A presigned URL."""

    url: str


class OfBuckets(Parameters):
    """Those of a list of buckets."""

    page_size: PageSize = 100
    page_token: PageToken = ""


class OfBucket(Parameters):
    """Those of one bucket."""

    bucket: BucketName


_Text = Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARACTERS)]


class OfObjects(Parameters):
    """Those of a listing of objects."""

    bucket: BucketName
    prefix: Annotated[_Text, msgspec.Meta(description="Only keys that begin with it.")] = ""
    delimiter: Annotated[
        _Text, msgspec.Meta(description="Keys that have it behind the prefix are one common prefix.")
    ] = ""
    page_size: PageSize = 100
    page_token: PageToken = ""


class OfObject(Parameters):
    """Those of one object."""

    bucket: BucketName
    key: Key


class OfUrl(OfObject):
    """Those of a presigned URL."""

    method: Annotated[
        Literal["GET", "HEAD", "PUT", "DELETE"], msgspec.Meta(description="The method that the URL is for.")
    ] = "GET"
    expires: Annotated[int, msgspec.Meta(ge=1, le=MAX_EXPIRES, description="Seconds that the URL is valid.")] = 3600


Presign = Callable[[Principal, OfUrl], str]
"""Returns a presigned URL for a caller."""


def object_routes(presign: Presign) -> list[Route]:
    """Return the routes about buckets and objects."""
    return [
        Route(
            path="/buckets",
            name="buckets",
            tag="objects",
            summary="List the buckets in which anything is allowed to the caller.",
            answer=BucketPage,
            handle=_buckets,
            parameters=OfBuckets,
        ),
        Route(
            path="/buckets/{bucket}",
            name="bucket",
            tag="objects",
            summary="Describe a bucket.",
            answer=Bucket,
            handle=lambda request, parameters: _bucket(request.store.head_bucket(parameters.bucket)),
            parameters=OfBucket,
        ),
        Route(
            path="/buckets/{bucket}/objects",
            name="objects",
            tag="objects",
            summary="List objects that the caller may list.",
            answer=ObjectPage,
            handle=_objects,
            parameters=OfObjects,
        ),
        Route(
            path="/buckets/{bucket}/object",
            name="object",
            tag="objects",
            summary="Describe an object, with its metadata.",
            answer=Object,
            handle=lambda request, parameters: _object(request.store.head(parameters.bucket, parameters.key)),
            parameters=OfObject,
        ),
        Route(
            path="/buckets/{bucket}/content",
            name="content",
            tag="objects",
            summary="Send the bytes of an object, or a range of them, as a presigned URL does.",
            answer=Content,
            handle=lambda _, parameters: Content(bucket=parameters.bucket, key=parameters.key),
            parameters=OfObject,
        ),
        Route(
            path="/buckets/{bucket}/url",
            name="url",
            tag="objects",
            summary="Make a presigned URL; needs the permission for its method, and to presign.",
            answer=Url,
            handle=lambda request, parameters: Url(url=presign(request.principal, parameters)),
            parameters=OfUrl,
        ),
    ]


def _buckets(request: Request, parameters: OfBuckets) -> BucketPage:
    found, token = request.store.bucket_page(page_size=parameters.page_size, page_token=parameters.page_token)
    return BucketPage(buckets=tuple(map(_bucket, found)), next_page_token=token)


def _bucket(info: BucketInfo) -> Bucket:
    return Bucket(name=info.name, created_at=info.created_at)


def _objects(request: Request, parameters: OfObjects) -> ObjectPage:
    page = request.store.page(
        parameters.bucket,
        prefix=parameters.prefix,
        delimiter=parameters.delimiter,
        page_size=parameters.page_size,
        page_token=parameters.page_token,
    )
    return ObjectPage(
        objects=tuple(map(_object, page.objects)),
        common_prefixes=page.common_prefixes,
        next_page_token=page.next_after,
    )


def _object(info: ObjectInfo) -> Object:
    return Object(
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
        generation=info.generation,
        crc32c=f"{info.crc32c:08x}",
        content_type=info.content_type,
        metadata=dict(info.metadata),
        last_modified=info.last_modified,
        expires_at=info.expires_at,
    )
