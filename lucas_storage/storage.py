"""`Storage`: what a decorated function is given, and what the plugin itself stores and fetches with."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    PermissionError,
    UnsupportedError,
)
from actorc.storage.rules import MAX_INLINE_SIZE, MiB

from . import scratch, settings, signing
from .bodies import Body
from .cache import Cache
from .errors import ArtifactNotFoundError, DigestMismatchError
from .formats import format_by_id
from .formats.base import Format
from .ranged import open_ranged
from .refs import ArtifactRef

__all__ = ["ArtifactStat", "Storage", "storage_for"]

WHOLE_MAX: Final = 64 * MiB
"""Artifacts up to this many bytes are fetched and verified whole before the first byte of them is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStat:
    """What is known of an artifact without reading it."""

    size: int
    """Bytes stored."""
    format: str
    digest: str | None
    stored_at: datetime | None
    """Aware, UTC; None if the reference carries the bytes itself."""


class Storage(StorageClient):
    """A storage client that knows artifacts.

    Everything a `StorageClient` can do, and `put`, `get`, `open`, `path`, `stat`, `verify` and `scratch` for artifacts,
    which alone use the bucket of the settings. Safe to share between threads and after a fork. What is pickled of it is
    the store's name: where it arrives, endpoint and credentials are that process's own.

    Args:
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
        SettingsError: A setting cannot be used.
    """

    def __init__(self, store: str | None = None) -> None:
        self._settings = settings.resolve(store=store)
        store = self._settings.store.value
        self._origin = self._settings.endpoint(store)
        super().__init__(self._origin.value, self._settings.access_key.value, self._settings.secret_key.value)
        self.store_name = store
        """Logical name of the store."""
        self._distrusted: set[str] = set()
        self._shared = False

    def __reduce__(self) -> tuple[Any, ...]:
        return storage_for, (self.store_name,)

    def close(self) -> None:
        """Close the connection; does nothing to a handle that was injected, since other steps use it as well."""
        if not self._shared:
            super().close()

    @property
    def bucket(self) -> str:
        """The bucket that artifacts go to."""
        return self._settings.bucket.value

    def put(self, value: Any, *, format: str | None = None) -> ArtifactRef:  # noqa: A002
        """Store a value and return its reference; equal bytes are stored once.

        Args:
            value: Anything a result can be: data, a `Path` to upload, an iterator of bytes. A reference is returned
                as it is.
            format: Format id or name; None lets the value decide.

        Raises:
            NoFormatError: No format holds the value, or not the one asked for.
            UnsafeFormatError: It could only be pickled, and that is denied or cannot be signed.
        """
        from .boundary import store  # noqa: PLC0415  # walks nested data, and stores by this class

        return store(value, format, self.store_name)

    def get(self, ref: object, as_: Any = None) -> Any:
        """Return the value of a reference, verified, with the references in it resolved.

        Args:
            ref: An `ArtifactRef`, a URI, or a tagged dict; of any store this process knows.
            as_: An annotation such as ``np.ndarray`` or ``list[Path]``; None takes each as it was stored.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes are damaged; they were not decoded.
            UnsafeFormatError: It is a pickle without a valid signature.
        """
        from .boundary import value_of  # noqa: PLC0415  # walks nested data, and fetches by this class

        return value_of(ArtifactRef.parse(ref), as_)

    def open(self, ref: object) -> BinaryIO:
        """Return the stored bytes as a seekable binary file.

        Up to 64 MiB the digest is checked before a byte is handed out. Larger ones are read range by range, each
        verified by the store's checksums, unless a verified copy is in the cache.
        """
        parsed = ArtifactRef.parse(ref)
        if parsed.inline is not None:
            return io.BytesIO(parsed.inline)
        holder = self._holder(parsed)
        if parsed.size <= WHOLE_MAX or holder.cached(parsed) is not None:
            return holder.local(parsed).open("rb")
        return holder.ranged(parsed)

    def path(self, ref: object) -> Path:
        """Return a verified, read-only local file with the stored bytes, under the name it had.

        It belongs to the cache; copy it to change it.
        """
        parsed = ArtifactRef.parse(ref)
        content = self._holder(parsed).local(parsed)
        name = parsed.filename or f"artifact{_extension(parsed.format)}"
        return self._cache.named(content, name)

    def stat(self, ref: object) -> ArtifactStat:
        """Return what is known of an artifact without reading it.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
        """
        parsed = ArtifactRef.parse(ref)
        stored_at = None
        if parsed.inline is None:
            holder = self._holder(parsed)
            with holder.explained(parsed):
                head = holder.head_object(parsed.bucket, parsed.key)
            _check_size(parsed, head["size"])
            stored_at = head["last_modified"]
        return ArtifactStat(size=parsed.size, format=parsed.format, digest=parsed.digest, stored_at=stored_at)

    def verify(self, ref: object) -> None:
        """Read the stored bytes from the store, not from the cache, and compare them with the reference.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes are not those the reference was made for.
        """
        parsed = ArtifactRef.parse(ref)
        running, size = hashlib.sha256(), 0
        for piece in self._holder(parsed).stream(parsed):
            running.update(piece)
            size += len(piece)
        _check_size(parsed, size)
        if parsed.digest not in (None, "sha256:" + running.hexdigest()):
            raise DigestMismatchError("the stored bytes do not match their digest; store the value again", ref=parsed)

    def scratch(self) -> Path:
        """Return a new, empty directory that is removed when the present step is over, its result stored."""
        return scratch.directory()

    def keep(self, body: Body, form: Format, filename: str | None = None) -> ArtifactRef:
        """Store encoded bytes under their digest and return a reference, signed if its format is not safe.

        To be called by the process that encoded them, and by no other.
        """
        value = body.digest.removeprefix("sha256:")
        ref = ArtifactRef(
            store=self.store_name,
            bucket=self.bucket,
            key=f"{self._settings.prefix.value}/sha256/{value[:2]}/{value}",
            digest=body.digest,
            size=body.size,
            format=form.id,
            filename=filename,
        )
        ref = ref if form.safe else signing.sign(ref, self._settings.signing_keys)
        with self.explained(None):
            self._upload_once(ref, body, form.content_type)
        return ref

    def local(self, ref: ArtifactRef) -> Path:
        """Return a verified copy of the stored bytes in the cache, fetched at most once more if they are damaged.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes do not match their digest; the next `put` of them replaces them.
        """
        if ref.digest is None:
            return self._cache.insert(None, self.stream(ref))
        with self._cache.only_one(ref.digest):
            found = self.cached(ref)
            if found is not None:
                return found
            try:
                return self._fetch(ref)
            except IntegrityError:
                self._distrusted.add(ref.key)
            return self._fetch(ref)

    def _fetch(self, ref: ArtifactRef) -> Path:
        try:
            return self._cache.insert(ref.digest, self.stream(ref))
        except DigestMismatchError as error:
            raise DigestMismatchError(error.message, ref=ref) from None

    def cached(self, ref: ArtifactRef) -> Path | None:
        """Return the verified copy in the cache, if there is one."""
        return self._cache.find(ref.digest, ref.size) if ref.digest else None

    def stream(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Yield the stored bytes in order; their digest is for the caller to check."""
        if ref.inline is not None:
            yield ref.inline
            return
        if ref.kind != "blob":
            raise UnsupportedError(f"a reference of kind {ref.kind} needs a newer lucas-storage; upgrade it here")
        received = 0
        with self.explained(ref):
            for piece in self.stream_object(ref.bucket, ref.key):
                received += len(piece)
                if received > ref.size:
                    _check_size(ref, received)
                yield piece

    def ranged(self, ref: ArtifactRef) -> BinaryIO:
        """Return the stored bytes as a file that is read range by range."""
        with self.explained(ref):
            head = self.head_object(ref.bucket, ref.key)
        _check_size(ref, head["size"])
        return open_ranged(self, ref.bucket, ref.key, size=ref.size, etag=head["etag"])

    def _holder(self, ref: ArtifactRef) -> Storage:
        """Return the handle for the store that a reference names; its address comes from settings alone."""
        return self if ref.inline is not None or ref.store == self.store_name else storage_for(ref.store)

    @property
    def _cache(self) -> Cache:
        return _cache_at(os.getpid(), self._settings.cache_dir.value, self._settings.cache_max.value)

    def send(self, key: str, body: Body, content_type: str, **options: Any) -> None:
        """Put encoded bytes into the default bucket, which is made if it is missing and the server lets us.

        Args:
            key: Object key.
            body: The bytes.
            content_type: MIME type.
            options: Those of `put_object`.
        """
        try:
            body.send(self, self.bucket, key, content_type, **options)
        except BucketNotFoundError as missing:
            try:
                self.create_bucket(self.bucket, exist_ok=True)
            except PermissionError:
                raise missing from None
            body.send(self, self.bucket, key, content_type, **options)

    def _upload_once(self, ref: ArtifactRef, body: Body, content_type: str) -> None:
        """Store the bytes unless the same are there already, judged by size and CRC-32C together."""
        trusted = ref.key not in self._distrusted
        if body.size > MAX_INLINE_SIZE and trusted and self._holds(ref, body):
            return
        try:
            self.send(ref.key, body, content_type, if_absent=trusted and body.size <= MAX_INLINE_SIZE)
        except AlreadyExistsError:
            if not self._holds(ref, body):
                self.send(ref.key, body, content_type)
        self._distrusted.discard(ref.key)

    def _holds(self, ref: ArtifactRef, body: Body) -> bool:
        try:
            head = self.head_object(ref.bucket, ref.key)
        except NotFoundError:
            return False
        return head["size"] == body.size and head["crc32c"] == f"{body.crc32c():08x}"

    @contextmanager
    def explained(self, ref: ArtifactRef | None) -> Iterator[None]:
        """Say what was looked for, and where the address came from, when the store fails."""
        try:
            yield
        except NotFoundError as error:
            if ref is None:
                raise
            message = f"the artifact {ref!r} is gone from store {self.store_name!r}; run the step that made it again"
            raise ArtifactNotFoundError(message, ref=ref) from error
        except NetworkError as error:
            error.message += f"; store {self.store_name!r} is at {self._origin.value} ({self._origin.origin})"
            error.args = (error.message,)
            raise


def storage_for(store: str | None = None) -> Storage:
    """Return this process's handle for a store, made on first use for the settings in force; named in pickles.

    Args:
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
    """
    present = settings.resolve(store=store)
    name = present.store.value
    fields = ("access_key", "secret_key", "bucket", "prefix", "cache_dir", "cache_max", "pickle", "signing_key")
    return _handle(os.getpid(), name, (present.endpoint(name), *(getattr(present, field) for field in fields)))


@lru_cache(maxsize=32)
def _handle(_process: int, store: str, _settings: tuple[object, ...]) -> Storage:
    handle = Storage(store)
    handle._shared = True  # noqa: SLF001  # said here and nowhere else
    return handle


@lru_cache(maxsize=8)
def _cache_at(_process: int, root: Path, cap: int) -> Cache:
    return Cache(root, cap)


def _check_size(ref: ArtifactRef, size: int) -> None:
    if size != ref.size:
        raise DigestMismatchError(
            f"the store gives {size} bytes where the reference promises {ref.size}; store the value again", ref=ref
        )


def _extension(format_id: str) -> str:
    try:
        return format_by_id(format_id).extension
    except Exception:  # noqa: BLE001 -- a path needs no format; without one it only lacks its suffix
        return ""
