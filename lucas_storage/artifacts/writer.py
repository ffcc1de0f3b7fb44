"""Writes artifacts: under their digest, once, and signed if their format can run code when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from lucas_storage import current, signing
from lucas_storage.declared_settings import Settings
from lucas_storage.errors import NoFormatError
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.references.fields import Kind
from lucas_storage.refs import ArtifactRef

from .artifact_file import ArtifactFile
from .blobs import Blobs, key_of
from .body import Body, EncodedBody
from .cache.cache import Cache
from .manifest import WHOLE_MAX, Manifest
from .part_transfer import PartSender, Send

PART_TYPE: Final = "application/octet-stream"
MANIFEST_TYPE: Final = "application/vnd.lucas.manifest+json"


class ArtifactWriter:
    """Writes the artifacts of one store. Safe to share between threads.

    Args:
        blobs: The store, by digest.
        present: Store, bucket, prefix, and the keys to sign with.
        cache: Returns the cache in use.
        explained: Adds the name of the store to errors; entered around every call to it.
    """

    def __init__(
        self,
        blobs: Blobs,
        present: Settings,
        cache: Callable[[], Cache],
        explained: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._blobs = blobs
        self._settings = present
        self._cache = cache
        self._explained = explained

    def keep(self, body: Body, fmt: Format, filename: str | None) -> ArtifactRef:
        """Store encoded bytes as one object and return a reference, signed if its format is not safe."""
        ref = self._ref(body.digest, "blob", body.size, fmt, filename)
        return self._kept(ref, body, fmt, fmt.content_type)

    def keep_all(self, small: Sequence[tuple[EncodedBody, Format]]) -> list[ArtifactRef]:
        """Store small bodies together, and return the reference of each, signed if its format is not safe."""
        refs = [self._signed(self._ref(body.digest, "blob", body.size, fmt, None), fmt) for body, fmt in small]
        blobs = {ref.key: (body, fmt.content_type) for ref, (body, fmt) in zip(refs, small, strict=True)}
        with self._explained():
            self._blobs.put_all(self._settings.bucket.value, blobs)
        return refs

    def keep_parts(self, send: Send, fmt: Format, filename: str | None) -> ArtifactRef:
        """Store parts while the rest is made, then the manifest, and return a reference to that.

        Raises:
            NoFormatError: It has more parts than a manifest holds.
        """
        with self._sender() as parts:
            manifest = send(parts)
        return self._kept_manifest(manifest, fmt, filename)

    @contextmanager
    def writing(self, fmt: Format, filename: str | None) -> Iterator[ArtifactFile]:
        """Yield a file; if the body ends without an error, what was written becomes an artifact, else nothing does.

        Raises:
            NoFormatError: It has more parts than a manifest holds.
        """
        with self._sender() as parts, ArtifactFile(parts) as file:
            yield file
            short = file.short()
            manifest = file.manifest() if short is None else None
        if manifest is not None:
            file.publish(self._kept_manifest(manifest, fmt, filename))
        else:
            file.publish(self.keep(EncodedBody(Encoded((short or b"",))), fmt, filename))

    def known(self, path: Path, fmt: Format, filename: str | None) -> ArtifactRef | None:
        """Return a reference to the artifact whose cached copy a path is, if the store still holds it."""
        # By the cache's own stamps: a copy that was edited has another digest, and is stored as a new file.
        found = self._cache().address_of(path)
        if found is None:
            return None
        address, size = found
        algorithm, _, value = address.partition(":")
        kind: Kind = "manifest" if algorithm == "manifest" else "blob"
        ref = self._ref(f"sha256:{value}", kind, size, fmt, filename)
        with self._explained():
            # The store may have lost or collected it while the copy stayed here.
            return ref if self._blobs.is_fresh(ref.bucket, ref.key) else None

    def _sender(self) -> PartSender:
        # To be left before the manifest is stored: leaving waits for every part, so that no manifest names one that is
        # missing.
        return PartSender(lambda part: self._put(self._key(part.digest), part, PART_TYPE))

    def _kept_manifest(self, manifest: Manifest, fmt: Format, filename: str | None) -> ArtifactRef:
        body = EncodedBody(Encoded((manifest.encode(),)))
        if body.size > WHOLE_MAX:
            raise NoFormatError("an artifact has too many parts for one reference; divide it into several")
        ref = self._ref(body.digest, "manifest", manifest.size, fmt, filename)
        return self._kept(ref, body, fmt, MANIFEST_TYPE)

    def _kept(self, ref: ArtifactRef, body: Body, fmt: Format, content_type: str) -> ArtifactRef:
        ref = self._signed(ref, fmt)
        self._put(ref.key, body, content_type)
        return ref

    def _signed(self, ref: ArtifactRef, fmt: Format) -> ArtifactRef:
        # Before it is stored: without a signing key nothing is stored that nobody could read.
        return ref if fmt.safe else signing.sign(ref, self._settings.signing_keys)

    def _put(self, key: str, body: Body, content_type: str) -> None:
        with self._explained():
            self._blobs.put(self._settings.bucket.value, key, body, content_type)

    def _ref(self, digest: str, kind: Kind, size: int, fmt: Format, filename: str | None) -> ArtifactRef:
        return ArtifactRef(
            store=self._settings.store.value,
            bucket=self._settings.bucket.value,
            key=self._key(digest),
            digest=digest,
            size=size,
            format=fmt.id,
            kind=kind,
            filename=filename,
            run=current.run_id(),
        )

    def _key(self, digest: str) -> str:
        return key_of(self._settings.prefix.value, digest)
