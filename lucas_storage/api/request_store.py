"""The handle of one request of the API: it acts for the caller, and shares nothing with other callers."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NoReturn

import msgspec

from actorc.storage.in_process import carry
from actorc.storage.server.api.routes import BucketName, Parameters, Request
from actorc.storage.setting_lookup import Setting
from lucas_storage import settings
from lucas_storage.artifacts.cache.leases import Holder
from lucas_storage.artifacts.local_copies import LocalCopies
from lucas_storage.artifacts.reader import ArtifactReader
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.artifacts.stored_bytes import StoredBytes
from lucas_storage.errors import UnsupportedError
from lucas_storage.refs import ArtifactRef

DEFAULT_BUCKET: Final = settings.built_in().bucket.value


class OfStore(Parameters):
    """Those of every route about runs and artifacts."""

    bucket: Annotated[BucketName, msgspec.Meta(description="Bucket of artifacts and records.")] = DEFAULT_BUCKET


class RequestStore(ArtifactStore):
    """A handle that acts for the caller of a request.

    It has the default settings: no address, key or cache of the server's process. Nothing that one caller read is
    there for another one, who may not be allowed to read it.

    Args:
        request: The request.
        bucket: The bucket of artifacts and records.
    """

    def __init__(self, request: Request, bucket: str) -> None:
        self._settings = settings.built_in(bucket=bucket)
        self._origin = Setting("this server", "the request")
        self.store_name = self._settings.store.value
        self._shared = False
        self._holder = Holder()
        carry(self, request.calls, request.seconds)

    def _reader_of(self, _ref: ArtifactRef) -> ArtifactReader:
        """Return the reader of this store: a name in a reference must not lead this process elsewhere."""
        return self._artifact_reader

    @cached_property
    def _artifact_reader(self) -> ArtifactReader:
        stored = StoredBytes(self, self._blobs, self.explained)
        return ArtifactReader(stored, _NoCopies(stored))


class _NoCopies(LocalCopies):
    """Local copies of one request: in memory, each for the one who opens it."""

    def __init__(self, stored: StoredBytes) -> None:
        super().__init__(stored, _no_cache)
        self._bytes = stored

    def cached(self, ref: ArtifactRef, name: str | None = None) -> Path | None:  # noqa: ARG002  # of the base class
        """Return None: there are none."""
        return None

    def copy(self, ref: ArtifactRef) -> BinaryIO:
        """Return the verified bytes."""
        return io.BytesIO(b"".join(self._bytes.checked_pieces(ref)))


def _no_cache() -> NoReturn:
    raise UnsupportedError("the API keeps no copies of artifacts; ask for a preview, or for the content")
