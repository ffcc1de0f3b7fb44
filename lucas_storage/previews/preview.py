"""Previews: the first lines, rows or values of an artifact, without loading all of it or running code in it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

from actorc.fork_hooks import ForkSafeLock
from lucas_storage.artifacts.seekable import open_ranges
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import DecodeError, MissingDependencyError, StorageError, UnknownFormatError
from lucas_storage.formats import sparse, tensors
from lucas_storage.formats.registry import format_by_id
from lucas_storage.preview_data import Entry, Preview, cut
from lucas_storage.refs import ArtifactRef

from . import array_head, plain_bytes, text_head
from .bounded_file import bounded
from .plain_bytes import DAMAGED, of_plain

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

__all__ = ["Preview", "preview", "preview_object"]

_HEADER: Final = 1 << 20
"""Bytes of the header of tensors, and of a sparse array, that are read."""
_SMALL: Final = 1 << 20
"""Bytes of an object up to which it is fetched whole; a round trip for each part costs more."""
AT_ONCE: Final = 4
"""Previews that a process makes at the same time; further ones wait, so that pages asked for by many fill no memory."""
_at_once: Final = ForkSafeLock(partial(threading.BoundedSemaphore, AT_ONCE))


def preview(storage: ArtifactStore, ref: ArtifactRef, count: int) -> Preview:
    """Return the preview of an artifact; a pickle is described by its header, never loaded, signed or not.

    No more than 64 MiB are read, and of most artifacts far less: what is needed of them is fetched in ranges. Parts and
    small artifacts are verified by their digest, ranges of large ones by the checksums of the store. At most `AT_ONCE`
    previews are made at the same time; further calls wait.

    Args:
        storage: Any handle; the reference names its store.
        ref: The artifact.
        count: Lines, rows or values at most.

    Raises:
        ArtifactNotFoundError: The store does not hold it any more.
        DigestMismatchError: It is damaged.
        DecodeError: It is not of the format that the reference names.
    """
    if ref.format == "tree@1":
        return _tree(storage, ref, count)
    with _at_once.held(), closing(bounded(storage.ranges(ref))) as file:
        if ref.format not in _PREVIEWS:
            return _of_other_format(file, ref, count)
        try:
            return _with_signature(_PREVIEWS[ref.format](file, ref.size, count), ref)
        except MissingDependencyError as error:
            return Preview(facts={"not shown": error.message}, error=error.message)
        except DecodeError as error:
            error.ref = error.ref or ref
            raise
        except StorageError:  # of the store; some are a `ValueError` or an `OSError`, too
            raise
        except DAMAGED as error:
            raise DecodeError(f"the artifact is not one of format {ref.format}; make it again", ref=ref) from error


def preview_object(client: StorageClient, bucket: str, key: str, count: int) -> Preview:
    """Return the preview of an object that need not be an artifact: by how it begins, its name and its MIME type.

    Bytes are read as by `preview`, and all of one generation of the object. Bytes that are not what their name says are
    shown as text or hexadecimal digits, with the reason as the `error` of the preview.

    Args:
        client: Of its store.
        bucket: Its bucket.
        key: Its key.
        count: Lines, rows or values at most.

    Raises:
        ObjectNotFoundError: There is none.
        PreconditionFailedError: It was replaced meanwhile.
    """
    head = client.head_object(bucket, key)
    size = head["size"]

    def fetch(offset: int, length: int) -> bytes:
        return client.get_object(bucket, key, offset=offset, length=length, if_match=head["etag"])

    whole = io.BytesIO(fetch(0, size) if size else b"") if size <= _SMALL else open_ranges(size, fetch)
    with _at_once.held(), closing(bounded(whole)) as file:
        return of_plain(file, size, count, name=key, content_type=head["content_type"])


def _of_other_format(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    """Return the preview that a registered format makes; of others, that of their bytes."""
    try:
        fmt = format_by_id(ref.format)
        found = fmt.preview(file, ref.size, count) if fmt.safe else None
    except UnknownFormatError:
        found = None
    except Exception as error:
        # Errors of the store are no error of the format. All others are of code of another package.
        if isinstance(error, StorageError) and not isinstance(error, (DecodeError, MissingDependencyError)):
            raise
        reason = f"the preview of format {ref.format} failed, {type(error).__name__}: {_message(error)}"
        return Preview(error=cut(reason))
    if found is not None:
        return found.bounded()
    if file.closed:
        return Preview(error=f"the preview of format {ref.format} closed the file that it was given")
    file.seek(0)
    return of_plain(file, ref.size, count, name=ref.filename or "")


def _with_signature(found: Preview, ref: ArtifactRef) -> Preview:
    if found.kind != "pickle":
        return found
    signed = "yes" if ref.signature else "no, so nothing will load it"
    return replace(found, facts={**found.facts, "signed": signed})


def _message(error: Exception) -> str:
    try:
        return cut(str(error))
    except Exception:  # noqa: BLE001  # of the same package, which may fail in this as well
        return ""


def _tree(storage: ArtifactStore, ref: ArtifactRef, count: int) -> Preview:
    manifest = storage.manifest(ref)
    files = [
        Entry(name=cut(f.path), size=f.size, note="executable" if f.executable else "")
        for f in islice(manifest.files or (), count)
    ]
    folders = [Entry(name=cut(f"{folder}/")) for folder in manifest.folders[: count - len(files)]]
    lines = [
        f"{'' if each.size is None else each.size:>14} {'x' if each.note else ' '} {each.name}"
        for each in (*files, *folders)
    ]
    total = len(manifest.files or ())
    facts = {"files": str(total), "empty directories": str(len(manifest.folders))}
    complete = len(lines) == total + len(manifest.folders)
    return Preview(kind="directory", facts=facts, lines=tuple(lines), complete=complete, entries=(*files, *folders))


def _sparse(file: BinaryIO, size: int, count: int) -> Preview:
    del size, count
    return Preview(kind="array", facts=sparse.header_of(file.read(_HEADER)))


def _tensors(file: BinaryIO, size: int, count: int) -> Preview:
    del size
    found = tensors.tensors_of(file.read(_HEADER))
    entries = [
        Entry(name=cut(n), size=size, note=cut(f"{dtype} {shape}"))
        for n, (dtype, shape, size) in islice(found.items(), count)
    ]
    lines = tuple(f"{each.size:>14}   {each.name}  {each.note}" for each in entries)
    return Preview(
        kind="tensors",
        facts={"tensors": str(len(found))},
        lines=lines,
        complete=len(lines) == len(found),
        entries=tuple(entries),
    )


_PREVIEWS: Final[Mapping[str, Callable[[BinaryIO, int, int], Preview]]] = {
    "json@1": text_head.of_json,
    "json@2": text_head.of_json,
    "text@1": text_head.of_text,
    "npy@1": array_head.of_npy,
    "array@1": array_head.of_typed,
    "sparse@1": _sparse,
    "safetensors@1": _tensors,
    "arrow@1": plain_bytes.of_arrow,
    "parquet@1": plain_bytes.of_parquet,
    "png@1": plain_bytes.of_image,
    "pickle5@1": plain_bytes.of_pickle,
    "pickle5@2": plain_bytes.of_pickle,
}
