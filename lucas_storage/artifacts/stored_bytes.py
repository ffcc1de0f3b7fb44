"""The bytes of artifacts as a store gives them: manifests, parts and single objects, verified as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import BinaryIO, cast

from actorc.storage.client import StorageClient
from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.models import ObjectHead
from actorc.storage.rules import MAX_ANSWER_SIZE
from lucas_storage.errors import DecodeError, DigestMismatchError
from lucas_storage.formats.composite import TREE
from lucas_storage.refs import ArtifactRef

from .blobs import Blobs, key_of, prefix_of
from .manifest import WHOLE_MAX, Manifest, Part
from .part_transfer import run_ahead
from .seekable import open_parts, open_ranges, open_whole


class StoredBytes:
    """The bytes of the artifacts of one store, never from a cache. Safe to share between threads.

    Args:
        client: Client of the store.
        blobs: The same store, by digest.
        explained: Adds the reference and the address of the store to errors; entered around every call to the store.
    """

    def __init__(
        self,
        client: StorageClient,
        blobs: Blobs,
        explained: Callable[[ArtifactRef], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._explained = explained

    def manifest(self, ref: ArtifactRef) -> Manifest:
        """Return the manifest of an artifact of several parts.

        Raises:
            DecodeError: It breaks a rule, or is of another size or kind than its reference.
        """
        # First: the keys of the parts are made of this one's, so a forged key must not lead elsewhere in the bucket.
        prefix_of(ref.key, ref.digest)
        assert ref.digest is not None
        with self._explained(ref):
            manifest = Manifest.decode(self._blobs.read(ref.bucket, ref.key, ref.digest, WHOLE_MAX))
        # The manifest is what its digest promises, but the maker of the reference may have lied in the rest of it.
        if manifest.size != ref.size or manifest.is_tree != (ref.format == TREE):
            raise DecodeError(
                "a manifest is of another size or kind than its reference; store the value again", ref=ref
            )
        return manifest

    def part(self, ref: ArtifactRef, part: Part) -> bytes:
        """Return one part, verified."""
        with self._explained(ref):
            key = key_of(prefix_of(ref.key, ref.digest), part.digest)
            data = self._blobs.read(ref.bucket, key, part.digest, part.size)
        _check_size(ref, len(data), part.size)
        return data

    def bytes_of(self, ref: ArtifactRef, parts: tuple[Part, ...]) -> Iterator[bytes]:
        """Yield the bytes of parts in order, verified; those that follow are fetched meanwhile."""
        return run_ahead(partial(self.part, ref, part) for part in parts)

    def checked_pieces(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Return the bytes in order, always from the store.

        Parts are verified. A single object is verified by the checksums of the store as it is read, and by its digest
        before the last piece is handed out.

        Raises:
            ArtifactError: At once, if the artifact cannot be read at all; later, if its bytes are wrong.
        """
        if ref.kind == "manifest":
            return self.bytes_of(ref, self.manifest(ref).parts)
        self._head(ref)
        return self._checked(ref)

    def _checked(self, ref: ArtifactRef) -> Iterator[bytes]:
        running, received, held = hashlib.sha256(), 0, b""
        for piece in self.pieces(ref):
            running.update(piece)
            received += len(piece)
            if held:
                yield held
            held = piece
        _check_size(ref, received)
        _check_digest(ref, "sha256:" + running.hexdigest())
        yield held

    def pieces(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Yield the stored bytes in order, always from the store.

        Parts are verified; the digest of a single object is for the caller to check.
        """
        if ref.kind == "manifest":
            manifest = self.manifest(ref)
            yield from self.bytes_of(ref, manifest.parts)
            return
        if ref.inline is not None:
            yield ref.inline
            return
        received = 0
        with self._explained(ref):
            for piece in self._read(ref):
                received += len(piece)
                if received > ref.size:  # at once: an endless object would otherwise fill the disk first
                    _check_size(ref, received)
                yield piece

    def _read(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Return the bytes of a single object, in pieces; of a small one perhaps one more than it should have."""
        if ref.size < MAX_ANSWER_SIZE:
            # One message, since a stream takes several times as long to begin; the byte more shows what is too long.
            return iter([self._client.get_object(ref.bucket, ref.key, length=ref.size + 1)])
        return self._client.stream_object(ref.bucket, ref.key)

    def opener(self, ref: ArtifactRef) -> Callable[[], BinaryIO]:
        """Return a function that opens the bytes as a seekable file, of which only those that are read are fetched.

        Raises:
            ArtifactError: The artifact cannot be read at all.
        """
        if ref.kind == "manifest":
            return partial(open_parts, self.manifest(ref).parts, partial(self.part, ref))
        # The etag ties all reads of the file to one generation; a replaced object fails instead of mixing with it.
        etag = self._head(ref)["etag"]

        def opened() -> BinaryIO:
            file = self._client.open_object(ref.bucket, ref.key, if_match=etag)
            return open_whole(ref.size, cast("BinaryIO", file), partial(_check_digest, ref))

        return opened

    def ranges(self, ref: ArtifactRef) -> BinaryIO:
        """Return the bytes as a seekable file that fetches exactly what is read, or the parts in which that is.

        Raises:
            ArtifactError: The artifact cannot be read at all.
        """
        if ref.kind == "manifest":
            return self.opener(ref)()
        etag = self._head(ref)["etag"]  # which ties all reads to one generation

        def fetch(offset: int, length: int) -> bytes:
            with self._explained(ref):
                return self._client.get_object(ref.bucket, ref.key, offset=offset, length=length, if_match=etag)

        return open_ranges(ref.size, fetch)

    def blob(self, ref: ArtifactRef) -> BlobFile | None:
        """Return the file in which a server on this machine keeps a single object, open and unverified.

        None if there is none, or the object is of another size.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
        """
        if ref.kind != "blob":
            return None
        with self._explained(ref):
            file = self._client.open_blob(ref.bucket, ref.key)
        if file is not None and file.size != ref.size:
            file.close()
            return None
        return file

    def distrust(self, ref: ArtifactRef) -> None:
        """Let the next `put` of the value replace the object, which gave wrong bytes."""
        self._blobs.distrust(ref.bucket, ref.key)

    def stored_at(self, ref: ArtifactRef) -> datetime:
        """Return when an artifact was stored, aware, UTC.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
        """
        return self._head(ref)["last_modified"]

    def verify(self, ref: ArtifactRef) -> None:
        """Read everything from the store, not from the cache, and compare it with the reference."""
        is_manifest = ref.kind == "manifest"
        every = self.bytes_of(ref, tuple(self.manifest(ref).reached())) if is_manifest else self._checked(ref)
        for _ in every:
            pass

    def _head(self, ref: ArtifactRef) -> ObjectHead:
        with self._explained(ref):
            head = self._client.head_object(ref.bucket, ref.key)
        if ref.kind != "manifest":
            _check_size(ref, head["size"])
        return head


def _check_digest(ref: ArtifactRef, found: str) -> None:
    """Check the digest of all bytes, if the reference has one.

    Raises:
        DigestMismatchError: They have another one.
    """
    if ref.digest not in (None, found):
        raise DigestMismatchError("the stored bytes do not match their digest; store the value again", ref=ref)


def _check_size(ref: ArtifactRef, size: int, expected: int | None = None) -> None:
    """Check that the store gave as many bytes as the reference promises, or as `expected`.

    Raises:
        DigestMismatchError: It gave another number.
    """
    promised = ref.size if expected is None else expected
    if size != promised:
        raise DigestMismatchError(
            f"the store gives {size} bytes where the reference promises {promised}; store the value again", ref=ref
        )
