"""Routes about artifacts, and previews of them and of other objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from actorc.storage.server.api.routes import BucketName, Content, Key, Parameters, Request, Route
from lucas_storage.errors import UnsupportedError
from lucas_storage.preview_data import Preview
from lucas_storage.previews.preview import preview, preview_object
from lucas_storage.refs import ArtifactRef

from .request_store import RequestStore
from .run_answers import uri_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An artifact that the store holds."""

    uri: str
    bucket: str
    """Empty if the reference carries the value itself."""
    key: str
    digest: str | None
    size: int
    format: str
    kind: str
    """blob, manifest or inline."""
    filename: str | None
    run: str | None
    """Id of the run that made it, as the reference says."""
    signed: bool
    """Whether the reference has a signature; this server does not know whose."""
    stored_at: datetime | None


_Lines = Annotated[int, msgspec.Meta(ge=0, le=1000, description="Lines, rows, values or files, at most.")]


class OfArtifact(Parameters):
    """Those of one artifact."""

    ref: Annotated[
        str,
        msgspec.Meta(
            max_length=12_000,
            pattern="^lucas:",
            description="The reference: the URI that travels between steps, percent-encoded as a whole.",
        ),
    ]


class OfPreview(OfArtifact):
    """Those of the preview of an artifact."""

    lines: _Lines = 20


class OfObjectPreview(Parameters):
    """Those of the preview of an object."""

    bucket: BucketName
    key: Key
    lines: _Lines = 20


def artifact_routes() -> list[Route]:
    """Return the routes about artifacts and previews."""
    return [
        Route(
            path="/artifact",
            name="artifact",
            tag="artifacts",
            summary="Describe an artifact.",
            answer=Artifact,
            handle=_artifact,
            parameters=OfArtifact,
        ),
        Route(
            path="/artifact/preview",
            name="artifact_preview",
            tag="artifacts",
            summary="Show how an artifact begins; it is data, and nothing of it is run or unpickled.",
            answer=Preview,
            handle=_preview,
            parameters=OfPreview,
        ),
        Route(
            path="/artifact/content",
            name="artifact_content",
            tag="artifacts",
            summary="Send the stored bytes of an artifact that is one object.",
            answer=Content,
            handle=_content,
            parameters=OfArtifact,
        ),
        Route(
            path="/buckets/{bucket}/preview",
            name="object_preview",
            tag="objects",
            summary="Show how an object begins, by its name, type and first bytes.",
            answer=Preview,
            handle=_object_preview,
            parameters=OfObjectPreview,
        ),
    ]


def store_of(request: Request, ref: ArtifactRef) -> RequestStore:
    """Return the handle that reads an artifact for the caller."""
    return RequestStore(request, ref.bucket) if ref.bucket else RequestStore(request, "lucas-artifacts")


def _artifact(request: Request, parameters: OfArtifact) -> Artifact:
    ref = ArtifactRef.parse(parameters.ref)
    return Artifact(
        uri=uri_of(ref),
        bucket=ref.bucket,
        key=ref.key,
        digest=ref.digest,
        size=ref.size,
        format=ref.format,
        kind=ref.kind,
        filename=ref.filename,
        run=ref.run,
        signed=ref.signature is not None,
        stored_at=store_of(request, ref).stat(ref).stored_at,
    )


def _preview(request: Request, parameters: OfPreview) -> Preview:
    ref = ArtifactRef.parse(parameters.ref)
    return preview(store_of(request, ref), ref, parameters.lines).bounded()


def _content(_request: Request, parameters: OfArtifact) -> Content:
    ref = ArtifactRef.parse(parameters.ref)
    if ref.kind != "blob":
        raise UnsupportedError("this artifact has parts, or travels in its reference; ask for its preview")
    return Content(bucket=ref.bucket, key=ref.key)


def _object_preview(request: Request, parameters: OfObjectPreview) -> Preview:
    storage = RequestStore(request, parameters.bucket)
    return preview_object(storage, parameters.bucket, parameters.key, parameters.lines).bounded()
