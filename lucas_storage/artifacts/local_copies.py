"""Verified local copies of artifacts: found in the cache, or fetched into it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from actorc.storage.errors import IntegrityError
from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.rules import MAX_ANSWER_SIZE
from lucas_storage.errors import (
    ArtifactNotFoundError,
    CacheError,
    CacheFullError,
    DigestMismatchError,
    UnsupportedError,
)
from lucas_storage.formats.composite import TREE
from lucas_storage.references.fields import is_filename
from lucas_storage.refs import ArtifactRef, digest_of

from .assembly import assemble
from .cache.cache import Cache
from .cache.copy_names import located
from .cache.leases import Holder
from .manifest import Manifest, TreeFile
from .stored_bytes import StoredBytes

SHARED_FROM: Final = MAX_ANSWER_SIZE
"""Bytes from which on the file of a server on this machine is used as it is."""
_SHOWN: Final = 5
"""Names in a message."""
_TRIES: Final = 5
"""Attempts at a copy that other processes remove, or give a name, between its verification and its use."""


class LocalCopies:
    """The local copies of the artifacts of one store. Safe to share between threads.

    Args:
        stored: The bytes that the store holds.
        cache: Returns the cache in use.
    """

    def __init__(self, stored: StoredBytes, cache: Callable[[], Cache]) -> None:
        self._stored = stored
        self._cache = cache

    def cached(self, ref: ArtifactRef, name: str | None = None) -> Path | None:
        """Return the verified copy in the cache, if there is one, under a name as `Cache.find` has it."""
        if ref.digest is None:
            return None
        return self._cache().find(_address(ref), ref.size, is_folder=ref.format == TREE, name=name)

    def local(self, ref: ArtifactRef, name: str | None = None) -> Path:
        """Return a verified copy in the cache, fetched at most once more if it is damaged.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes do not match their digest; the next `put` of them replaces them.
            CacheError: The cache cannot be used; nothing partial is left there.
        """
        if ref.digest is None and ref.kind != "manifest":
            return self._cache().insert(None, self._stored.pieces(ref), ref.size, name)
        address = _address(ref)
        return self._cache().found_or_made(
            address,
            ref.size,
            lambda: self.cached(ref, name),
            lambda: self._fetched_with_room(ref, address, name),
        )

    def held(self, ref: ArtifactRef, holder: Holder, name: str | None = None) -> Path:
        """Return the copy of `local`, kept from eviction until the present step ends or `holder` is released."""
        if ref.digest is not None:
            # First, or another process could evict the copy between its verification and its naming.
            self._cache().hold(_address(ref), holder)
        for _ in range(_TRIES):
            path = self.local(ref, name)
            if self._cache().hand_out(_address_of(ref, path), path, holder):
                return path
        raise _contended()

    def copy(self, ref: ArtifactRef) -> BinaryIO | BlobFile:
        """Return the verified bytes as an open file: the copy of `local`, or the very file of a server on this machine.

        It is the file that was verified, not another one under the same path. Of the server's, no copy is made.
        """
        if ref.digest is not None:
            file = self._cache().open(_address(ref), ref.size) or self._of_server(ref)
            if file is not None:
                return file
        for _ in range(_TRIES):
            content = self.local(ref)
            file = self._cache().open(_address_of(ref, content), ref.size)
            if file is not None:
                return file
        raise _contended()

    def _of_server(self, ref: ArtifactRef) -> BlobFile | None:
        # A small one comes in one message, and costs less to copy than a descriptor for as long as it is used.
        file = self._stored.blob(ref) if ref.size >= SHARED_FROM else None
        if file is None or self._cache().vouches_for(file, _address(ref)):
            return file
        file.close()
        return None  # it is fetched, and its damage told as ever

    def one_file(self, ref: ArtifactRef, path: str, holder: Holder) -> Path:
        """Return a verified copy of one file of a directory, without the others; kept as `held` keeps it.

        Raises:
            ArtifactNotFoundError: The directory has no such file.
        """
        whole = self.cached(ref)
        # The path is the user's, and must not lead out of the copy.
        is_there = whole is not None and all(map(is_filename, path.split("/"))) and (whole / path).is_file()
        if whole and is_there and self._cache().hand_out(_address(ref), whole / path, holder):
            return whole / path
        file = _file_of(self._stored.manifest(ref), path, ref)
        # A copy under the address of a manifest of this file alone, which other directories with the same file share.
        alone = Manifest(parts=file.parts)
        address, name = _manifest_address(digest_of((alone.encode(),))), path.rpartition("/")[2]
        self._cache().hold(address, holder)
        for _ in range(_TRIES):
            found = self._cache().found_or_made(
                address,
                file.size,
                lambda: self._cache().find(address, file.size, name=name),
                lambda: self._assembled(ref, alone, address, name),
            )
            if self._cache().hand_out(address, found, holder):
                return found
        raise _contended()

    def _fetched_with_room(self, ref: ArtifactRef, address: str, name: str | None) -> Path:
        try:
            return self._fetched(ref, address, name)
        except CacheFullError:
            # Another program may have filled the disk below the cap of the cache: only then are more copies evicted.
            if not self._cache().make_room(ref.size):
                raise
        return self._fetched(ref, address, name)

    def _fetched(self, ref: ArtifactRef, address: str, name: str | None) -> Path:
        if ref.kind == "manifest":
            return self._assembled(ref, self._stored.manifest(ref), address, name)
        try:
            return self._inserted(ref, name)
        except IntegrityError:
            # Once more, since the network may have done it; and the next `put` of the value replaces the object.
            self._stored.distrust(ref)
        return self._inserted(ref, name)

    def _inserted(self, ref: ArtifactRef, name: str | None) -> Path:
        try:
            return self._cache().insert(ref.digest, self._stored.pieces(ref), ref.size, name)
        except DigestMismatchError as error:
            raise DigestMismatchError(error.message, ref=ref) from None

    def _assembled(self, ref: ArtifactRef, manifest: Manifest, address: str, name: str | None) -> Path:
        build = partial(assemble, manifest, fetch=partial(self._stored.part, ref))
        return self._cache().make(address, build, manifest.encode(), manifest.size, name)


def _address(ref: ArtifactRef) -> str:
    if ref.digest is None:
        raise UnsupportedError("an artifact of several parts needs a reference with its digest; store the value again")
    return _manifest_address(ref.digest) if ref.kind == "manifest" else ref.digest


def _address_of(ref: ArtifactRef, path: Path) -> str:
    """Return the address of a copy that was just made; one without a digest in its reference has its own."""
    return f"sha256:{located(path)[0].name}" if ref.digest is None else _address(ref)


def _manifest_address(digest: str) -> str:
    return "manifest:" + digest.removeprefix("sha256:")


def _contended() -> CacheError:
    return CacheError("a copy in the cache is changed or removed as often as it is made; look at who does that")


def _file_of(manifest: Manifest, path: str, ref: ArtifactRef) -> TreeFile:
    files = {file.path: file for file in manifest.files or ()}
    if path not in files:
        some = ", ".join(sorted(files)[:_SHOWN]) + (", …" if len(files) > _SHOWN else "")
        raise ArtifactNotFoundError(
            f"the directory {ref!r} has no file {path!r}; it has {some or 'none at all'}", ref=ref
        )
    return files[path]
