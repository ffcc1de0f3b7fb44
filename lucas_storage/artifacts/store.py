"""`ArtifactStore`: the part of a handle that keeps and finds encoded bytes, below the modules that decode them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from actorc.storage.client import StorageClient
from actorc.storage.errors import IntegrityError, NetworkError, NotFoundError
from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.models import NewObject
from lucas_storage import settings
from lucas_storage.declared_settings import Settings
from lucas_storage.errors import ArtifactNotFoundError, DigestMismatchError, UnsupportedError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import Format
from lucas_storage.formats.composite import TREE
from lucas_storage.references.handles import ArtifactStat, handle_for
from lucas_storage.refs import ArtifactRef

from .artifact_file import ArtifactFile
from .blobs import Blobs
from .body import Body, EncodedBody
from .cache.cache import Cache
from .cache.leases import Holder
from .local_copies import LocalCopies
from .manifest import Manifest
from .part_transfer import Send
from .reader import ArtifactReader
from .stored_bytes import StoredBytes
from .writer import ArtifactWriter


class ArtifactStore(StorageClient):
    """A storage client that keeps encoded values as artifacts, and finds their bytes; made as `lucas_storage.Storage`.

    Safe to share between threads and after a fork.

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
        profile = self._settings.client_profile
        super().__init__(self._settings.client_endpoint(store), *self._settings.keys(store), profile=profile)
        self.store_name = store
        """Logical name of the store."""
        self._shared = False
        self._holder = Holder()

    def close(self) -> None:
        """Close the connection; does nothing to a handle that was injected, since other steps use it as well."""
        if not self._shared:
            self._holder.release()
            super().close()

    @property
    def bucket(self) -> str:
        """The bucket that artifacts go to."""
        return self._settings.bucket.value

    @property
    def prefix(self) -> str:
        """The prefix of the key of every artifact, without the slash that follows it."""
        return self._settings.prefix.value

    @property
    def can_sign(self) -> bool:
        """Whether this handle can store what is read only from a signed reference."""
        keys = self._settings.signing_keys
        return bool(keys.keys) and not keys.denied

    def open(self, ref: object) -> BinaryIO:
        """Return the stored bytes as a seekable binary file.

        Up to 64 MiB, and of a copy in the cache, the digest is checked before a byte is handed out. A larger artifact
        is fetched as it is read. The parts of a stream are verified by their digests; a single object by the checksums
        of the store and, if it is read from the beginning to the end, by its digest before the last bytes.

        Raises:
            DecodeError: It is a directory; use `path`.
        """
        parsed = ArtifactRef.parse(ref)
        return io.BytesIO(parsed.inline) if parsed.inline is not None else self._reader_of(parsed).open(parsed)

    def ranges(self, ref: ArtifactRef) -> BinaryIO:
        """Return the stored bytes as a seekable file for one thread that fetches only the ranges that are read.

        A copy in the cache is read instead, and an artifact below 1 MiB fetched whole. Parts are verified by their
        digests; ranges of a single object by the checksums of the store alone, since its digest is that of the whole.

        Raises:
            DecodeError: It is a directory.
        """
        return io.BytesIO(ref.inline) if ref.inline is not None else self._reader_of(ref).ranges(ref)

    def path(self, ref: object, only: str | None = None) -> Path:
        """Return a verified, read-only local file or directory, under the name it had; never a symbolic link.

        It belongs to the cache, and all steps on this host share it; `scratch(copy_of=…)` gives a copy to edit. It
        stays until the present step ends; outside a step, until this handle is closed, or the process ends if the
        handle was injected. One that was edited in spite of that is another artifact where a step returns it, and is
        replaced when it is asked for again.

        Args:
            ref: An `ArtifactRef`, a URI, or a tagged dict.
            only: Path of one file within a directory; the others are not fetched.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more, or the directory has no file `only`.
            UnsupportedError: `only` is given, and it is no directory.
        """
        parsed = ArtifactRef.parse(ref)
        if only is not None:
            if parsed.format != TREE:
                raise UnsupportedError(f"an artifact of format {parsed.format} holds no files; drop only={only!r}")
            return self._reader_of(parsed).copies.one_file(parsed, only, self._holder)
        name = parsed.filename or f"artifact{_extension(parsed.format)}"
        return self._reader_of(parsed).copies.held(parsed, self._holder, name)

    def stat(self, ref: object) -> ArtifactStat:
        """Return size, format, digest and age of an artifact without reading it.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
        """
        parsed = ArtifactRef.parse(ref)
        stored_at = None
        if parsed.inline is None:
            stored_at = self._reader_of(parsed).stored.stored_at(parsed)
        return ArtifactStat(size=parsed.size, format=parsed.format, digest=parsed.digest, stored_at=stored_at)

    def verify(self, ref: object) -> None:
        """Read the stored bytes from the store, not from the cache, and compare them with the reference.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes are not those the reference was made for.
        """
        parsed = ArtifactRef.parse(ref)
        if parsed.inline is None:
            self._reader_of(parsed).stored.verify(parsed)

    def keep(self, body: Body, fmt: Format, filename: str | None = None) -> ArtifactRef:
        """Store encoded bytes under their digest and return a reference, signed if its format is not safe.

        Only the process that encoded the bytes may call this: a signature says that unpickling them is safe, and that
        no process can know of bytes that it was given.
        """
        return self._artifact_writer.keep(body, fmt, filename)

    def keep_all(self, small: Sequence[tuple[EncodedBody, Format]]) -> list[ArtifactRef]:
        """Store encoded bytes in as few calls as they fit into, and return the reference of each, as `keep` does.

        Args:
            small: Bodies of at most 128 KiB, and their formats.
        """
        return self._artifact_writer.keep_all(small)

    def keep_parts(self, send: Send, fmt: Format, filename: str | None = None) -> ArtifactRef:
        """Store a value in parts and return a reference to its manifest.

        Parts are sent while the rest is made; those that are there already are not sent again. The manifest is stored
        last, so no reference leads to an incomplete artifact.
        """
        return self._artifact_writer.keep_parts(send, fmt, filename)

    def writing(self, fmt: Format, filename: str | None = None) -> AbstractContextManager[ArtifactFile]:
        """Return a file, to be entered, whose bytes become an artifact if the body ends without an error."""
        return self._artifact_writer.writing(fmt, filename)

    def known(self, path: Path, fmt: Format, filename: str | None) -> ArtifactRef | None:
        """Return a reference to the artifact whose cached copy a path is, if this store still holds it.

        Args:
            path: A local file or directory, of the cache or not.
            fmt: Format that the reference names.
            filename: Name of the file that `path` makes of the reference.
        """
        return self._artifact_writer.known(path, fmt, filename)

    def check_not_replaced(self, path: Path) -> None:
        """Check that a path, just stored, leads to the file or directory that `path` returned to this step.

        Raises:
            IntegrityError: It was edited, and the cache put an untouched copy in its place, since another step asked
                for it. If this step edited it, the edit is gone.
        """
        if self._cache.is_replaced(path, self._holder):
            raise IntegrityError(
                f"{path.name!r} was edited while this step used it, and replaced by an untouched copy because another "
                "step asked for it; edit a copy that storage.scratch(copy_of=…) makes"
            )

    def manifest(self, ref: ArtifactRef) -> Manifest:
        """Return the manifest of an artifact of kind ``manifest``."""
        return self._reader_of(ref).stored.manifest(ref)

    def local(self, ref: ArtifactRef) -> Path:
        """Return a verified copy of the stored bytes in the cache, kept there as long as the result of `path`.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes do not match their digest; the next `put` of them replaces them.
        """
        return self._reader_of(ref).copies.held(ref, self._holder)

    def copy(self, ref: ArtifactRef) -> BinaryIO | BlobFile:
        """Return the verified bytes, open: a copy, or the file of a server on this machine; raises those of `local`."""
        return self._reader_of(ref).copies.copy(ref)

    def chunks(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Return the stored bytes in verified pieces; a large artifact is fetched as they are read, and not cached."""
        return iter((ref.inline,)) if ref.inline is not None else self._reader_of(ref).chunks(ref)

    def records(self, ref: ArtifactRef) -> tuple[Iterator[bytes], bool]:
        """Return the items of a ``stream@1``, and whether they are bytes, rather than lines of ``json@1``."""
        return self._reader_of(ref).records(ref)

    def _reader_of(self, ref: ArtifactRef) -> ArtifactReader:
        """Return the reader of the store that a reference names."""
        # By name, never by an address in the reference: data must not decide where this process connects to, and
        # sends its credentials.
        is_here = ref.inline is not None or ref.store == self.store_name
        # A handle that was made for other settings reads with those, not with the shared one of the process.
        handle = self if is_here else store_for(ref.store)
        return handle._artifact_reader  # noqa: SLF001  # of this very class

    @cached_property
    def _blobs(self) -> Blobs:
        # Half the grace period of `gc`: a blob taken into use without storing it again stays young for the other half.
        return Blobs(self, self._settings.grace.value / 2)

    @cached_property
    def _artifact_reader(self) -> ArtifactReader:
        stored = StoredBytes(self, self._blobs, self.explained)
        return ArtifactReader(stored, LocalCopies(stored, lambda: self._cache))

    @cached_property
    def _artifact_writer(self) -> ArtifactWriter:
        return ArtifactWriter(self._blobs, self._settings, lambda: self._cache, lambda: self.explained(None))

    @property
    def _cache(self) -> Cache:
        present = self._settings
        return _cache_at(os.getpid(), present.cache_root, present.cache_max.value, present.cache_scrub.value)

    def send(self, key: str, body: Body, content_type: str, **options: Any) -> None:
        """Put encoded bytes into the default bucket, which is made if it is missing and the caller may make it.

        Args:
            key: Object key.
            body: The bytes.
            content_type: MIME type.
            options: Those of `put_object`.
        """
        self._blobs.send(self.bucket, key, body, content_type, **options)

    def restore(self, bucket: str, key: str, body: Body, content_type: str) -> None:
        """Put an object of an artifact back to where references name it, unless the same bytes are there.

        Args:
            bucket: The bucket; it is made as by `send`.
            key: Object key, as `lucas_storage.artifacts.blobs.key_of` gives it.
            body: The bytes, which have been verified.
            content_type: MIME type.
        """
        with self.explained(None):
            self._blobs.put(bucket, key, body, content_type)

    def is_old(self, stored_at: datetime) -> bool:
        """Return whether what was stored then is to be stored again where it is taken into use."""
        return self._blobs.is_old(stored_at)

    def is_young(self, ref: ArtifactRef) -> bool:
        """Return, without a call, whether this handle stored an artifact or found it young lately; then it is young."""
        return self._blobs.is_young(ref.bucket, ref.key)

    def found_young(self, ref: ArtifactRef) -> None:
        """Note that an artifact has just been found young, or was renewed."""
        self._blobs.found_young(ref.bucket, ref.key)

    def renew(self, key: str) -> None:
        """Store an object of an artifact in the default bucket anew, inside the server, if it is old.

        Raises:
            NotFoundError: It is gone.
        """
        self._blobs.renew(self.bucket, key)

    def send_all(self, objects: Sequence[NewObject], timeout: float) -> None:
        """Put small objects into the default bucket, in few calls; the bucket is made as by `send`.

        Args:
            objects: As `put_objects` takes them.
            timeout: Seconds for each call.

        Raises:
            StorageError: Of the first object that could not be stored; others may be.
        """
        for error in self._blobs.send_all(self.bucket, objects, timeout).values():
            raise error

    @contextmanager
    def explained(self, ref: ArtifactRef | None) -> Iterator[None]:
        """Add the reference, and the origin of the address, to errors of the store."""
        try:
            yield
        except NotFoundError as error:
            if ref is None:
                raise
            message = f"the artifact {ref!r} is gone from store {self.store_name!r}; run the step that made it again"
            raise ArtifactNotFoundError(message, ref=ref) from error
        except DigestMismatchError as error:
            error.ref = error.ref or ref
            raise
        except NetworkError as error:
            # A wrong address is the usual reason, and the user must see which variable or file it came from.
            error.message += f"; store {self.store_name!r} is at {self._origin.value} ({self._origin.origin})"
            error.args = (error.message,)
            raise


def store_for(store: str | None = None, present: Settings | None = None) -> ArtifactStore:
    """Return this process's handle for a store, as far as it is known here.

    Args:
        store: Logical name of the store; None takes the one of the settings.
        present: The settings in force, for a caller that has looked them up.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
    """
    return cast("ArtifactStore", handle_for(store, present))


# By process: a forked child must not share the locks of its parent, one of which another thread may have held.
@lru_cache(maxsize=8)
def _cache_at(_process: int, root: Path, cap: int, scrub: float) -> Cache:
    return Cache(root, cap, scrub)


def _extension(format_id: str) -> str:
    try:
        return format_by_id(format_id).extension
    except Exception:  # noqa: BLE001 -- a path needs no format; without one it only lacks its suffix
        return ""
