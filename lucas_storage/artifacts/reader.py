"""Reads artifacts: whole into the cache, or part by part; no byte is handed out before it is verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

from actorc.storage.client import StorageClient
from actorc.storage.errors import IntegrityError
from actorc.storage.models import ObjectHead
from actorc.storage.rules import MAX_ANSWER_SIZE, MiB
from lucas_storage.digests import digest_of
from lucas_storage.errors import (
    ArtifactNotFoundError,
    CacheError,
    CacheFullError,
    DecodeError,
    DigestMismatchError,
    UnsupportedError,
)
from lucas_storage.formats.composite import TREE
from lucas_storage.refs import ArtifactRef, is_filename

from .assembly import assemble
from .blobs import Blobs, key_of, prefix_of
from .cache.cache import Cache
from .cache.leases import Holder
from .chunks import items_of, lines_of
from .manifest import WHOLE_MAX, Manifest, Part, TreeFile
from .part_transfer import run_ahead
from .seekable import open_parts

_SHOWN: Final = 5
"""Names in a message."""
_TRIES: Final = 5
"""Attempts at a copy that other processes remove, or give a name, between its verification and its use."""


class ArtifactReader:
    """Reads the artifacts of one store. Safe to share between threads.

    Args:
        client: Client of the store.
        blobs: The same store, by digest.
        cache: Returns the cache in use.
        explained: Adds the reference and the address of the store to errors; entered around every call to the store.
    """

    def __init__(
        self,
        client: StorageClient,
        blobs: Blobs,
        cache: Callable[[], Cache],
        explained: Callable[[ArtifactRef], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._cache = cache
        self._explained = explained

    def cached(self, ref: ArtifactRef) -> Path | None:
        """Return the verified copy in the cache, if there is one."""
        if ref.digest is None:
            return None
        return self._cache().find(_address(ref), ref.size, is_folder=ref.format == TREE)

    def local(self, ref: ArtifactRef) -> Path:
        """Return a verified copy in the cache, fetched at most once more if it is damaged.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes do not match their digest; the next `put` of them replaces them.
            CacheError: The cache cannot be used; nothing partial is left there.
        """
        if ref.digest is None and ref.kind != "manifest":
            return self._cache().insert(None, self.pieces(ref), ref.size)
        address = _address(ref)
        # Threads that want the same artifact fetch it once; other processes may fetch it, too, and one copy wins.
        with self._cache().single_flight(address):
            return self.cached(ref) or self._fetched_with_room(ref, address)

    def held(self, ref: ArtifactRef, holder: Holder) -> Path:
        """Return the copy of `local`, kept from eviction until the present step ends or `holder` is released."""
        for _ in range(_TRIES):
            content = self.local(ref)
            self._cache().hold(_address_of(ref, content), holder)
            # Looked at after the lease was taken: before it, another process may have evicted the copy.
            if content.exists():
                return content
        raise _contended()

    def named(self, ref: ArtifactRef, name: str, holder: Holder) -> Path:
        """Return the copy of `held` under a name of the user's."""
        return self._cache().named(self.held(ref, holder), name)

    def copy(self, ref: ArtifactRef) -> BinaryIO:
        """Return the copy of `local`, open: the file that was verified, not another one under the same path."""
        if ref.digest is not None:
            file = self._cache().open(_address(ref), ref.size)
            if file is not None:
                return file
        for _ in range(_TRIES):
            content = self.local(ref)
            file = self._cache().open(_address_of(ref, content), ref.size)
            if file is not None:
                return file
        raise _contended()

    def _fetched_with_room(self, ref: ArtifactRef, address: str) -> Path:
        try:
            return self._fetched(ref, address)
        except CacheFullError:
            # Another program may have filled the disk below the cap of the cache: only then are more copies evicted.
            if not self._cache().make_room(ref.size):
                raise
        return self._fetched(ref, address)

    def _fetched(self, ref: ArtifactRef, address: str) -> Path:
        if ref.kind == "manifest":
            return self._assembled(ref, self.manifest(ref), address)
        try:
            return self._inserted(ref)
        except IntegrityError:
            # Once more, since the network may have done it; and the next `put` of the value replaces the object.
            self._blobs.distrust(ref.bucket, ref.key)
        return self._inserted(ref)

    def _inserted(self, ref: ArtifactRef) -> Path:
        try:
            return self._cache().insert(ref.digest, self.pieces(ref), ref.size)
        except DigestMismatchError as error:
            raise DigestMismatchError(error.message, ref=ref) from None

    def _assembled(self, ref: ArtifactRef, manifest: Manifest, address: str) -> Path:
        build = partial(assemble, manifest, fetch=partial(self.part, ref))
        return self._cache().make(address, build, manifest.encode(), manifest.size)

    def one_file(self, ref: ArtifactRef, name: str, holder: Holder) -> Path:
        """Return a verified copy of one file of a directory, without the others; kept as `held` keeps it.

        Raises:
            ArtifactNotFoundError: The directory has no such file.
        """
        whole = self.cached(ref)
        if whole is not None:
            self._cache().hold(_address(ref), holder)
        # The name is the user's, and must not lead out of the copy.
        if whole is not None and all(map(is_filename, name.split("/"))) and (whole / name).is_file():
            return whole / name
        file = _file_of(self.manifest(ref), name, ref)
        # A copy under the address of a manifest of this file alone, which other directories with the same file share.
        alone = Manifest(parts=file.parts)
        address = _manifest_address(digest_of((alone.encode(),)))
        with self._cache().single_flight(address):
            for _ in range(_TRIES):
                content = self._cache().find(address, file.size) or self._assembled(ref, alone, address)
                self._cache().hold(address, holder)
                if content.exists():
                    return self._cache().named(content, name.rpartition("/")[2])
        raise _contended()

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

    def pieces(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Yield the stored bytes in order, always from the store.

        Parts are verified; the digest of a single object is for the caller to check.
        """
        if ref.kind == "manifest":
            manifest = self.manifest(ref)
            yield from self._bytes_of(ref, manifest.parts)
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

    def chunks(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Return the bytes in order, in verified pieces; those of a large artifact are not cached.

        Raises:
            ArtifactError: At once, if the artifact cannot be read at all.
        """
        if ref.kind == "manifest" and self.cached(ref) is None:
            if ref.format == TREE:
                raise _no_bytes(ref)
            return self._bytes_of(ref, self.manifest(ref).parts)
        return _file_pieces(self._opener(ref))

    def records(self, ref: ArtifactRef) -> tuple[Iterator[bytes], bool]:
        """Return the items of a stream, and whether they are bytes, rather than records of ``json@1``."""
        manifest = self.manifest(ref)
        if manifest.items is None:
            return lines_of(self.chunks(ref)), False
        return items_of(self.chunks(ref), self._bytes_of(ref, manifest.items)), True

    def open(self, ref: ArtifactRef) -> BinaryIO:
        """Return the bytes as a seekable file; of a large artifact only the parts that are read are fetched."""
        return self._opener(ref)()

    def _opener(self, ref: ArtifactRef) -> Callable[[], BinaryIO]:
        """Check that an artifact can be read, and return a function that opens it."""
        if ref.format == TREE:
            raise _no_bytes(ref)
        if ref.size <= WHOLE_MAX or self.cached(ref) is not None:
            self.local(ref)
            return partial(self.copy, ref)
        if ref.kind == "manifest":
            return partial(open_parts, self.manifest(ref).parts, partial(self.part, ref))
        head = self._head(ref)
        # The etag ties all reads of the file to one generation; a replaced object fails instead of mixing with it.
        opened = partial(self._client.open_object, ref.bucket, ref.key, if_match=head["etag"])
        return cast("Callable[[], BinaryIO]", opened)

    def stored_at(self, ref: ArtifactRef) -> datetime:
        """Return when an artifact was stored, aware, UTC.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
        """
        return self._head(ref)["last_modified"]

    def verify(self, ref: ArtifactRef) -> None:
        """Read everything from the store, not from the cache, and compare it with the reference."""
        if ref.kind == "manifest":
            for _ in self._bytes_of(ref, tuple(self.manifest(ref).reached())):
                pass
            return
        running, size = hashlib.sha256(), 0
        for piece in self.pieces(ref):
            running.update(piece)
            size += len(piece)
        _check_size(ref, size)
        if ref.digest not in (None, "sha256:" + running.hexdigest()):
            raise DigestMismatchError("the stored bytes do not match their digest; store the value again", ref=ref)

    def _head(self, ref: ArtifactRef) -> ObjectHead:
        with self._explained(ref):
            head = self._client.head_object(ref.bucket, ref.key)
        if ref.kind != "manifest":
            _check_size(ref, head["size"])
        return head

    def _bytes_of(self, ref: ArtifactRef, parts: tuple[Part, ...]) -> Iterator[bytes]:
        return run_ahead(partial(self.part, ref, part) for part in parts)


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


def _address(ref: ArtifactRef) -> str:
    if ref.digest is None:
        raise UnsupportedError("an artifact of several parts needs a reference with its digest; store the value again")
    return _manifest_address(ref.digest) if ref.kind == "manifest" else ref.digest


def _address_of(ref: ArtifactRef, content: Path) -> str:
    """Return the address of a copy that was just made; one without a digest in its reference has its own."""
    return f"sha256:{content.parent.name}" if ref.digest is None else _address(ref)


def _contended() -> CacheError:
    return CacheError("a copy in the cache is changed or removed as often as it is made; look at who does that")


def _manifest_address(digest: str) -> str:
    return "manifest:" + digest.removeprefix("sha256:")


def _file_of(manifest: Manifest, name: str, ref: ArtifactRef) -> TreeFile:
    files = {file.path: file for file in manifest.files or ()}
    if name not in files:
        some = ", ".join(sorted(files)[:_SHOWN]) + (", …" if len(files) > _SHOWN else "")
        raise ArtifactNotFoundError(
            f"the directory {ref!r} has no file {name!r}; it has {some or 'none at all'}", ref=ref
        )
    return files[name]


def _file_pieces(opener: Callable[[], BinaryIO]) -> Iterator[bytes]:
    with opener() as file:
        yield from iter(partial(file.read, MiB), b"")


def _no_bytes(ref: ArtifactRef) -> DecodeError:
    return DecodeError("a directory has no bytes of its own; annotate Path, or ask for path(ref, only=…)", ref=ref)
