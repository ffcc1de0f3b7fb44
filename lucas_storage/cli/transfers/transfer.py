"""Transfers: uploads, downloads, and copies from object to object."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.errors import AlreadyExistsError, PreconditionFailedError, StorageError
from lucas_storage.cli.output.progress import OnProgress
from lucas_storage.cli.uris import Target

from .attributes import MTIME, Attributes
from .local_files import LocalFile
from .queue import TakenError, Transfer
from .replaced import file_at
from .safe_paths import SafeFolder
from .standard_input import standard_input
from .streaming import check_file, stream

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead

FOLDER_MARKER: Final = "an empty object whose key ends with a slash; it marks a directory"
"""Why an object is not downloaded."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def upload(
    client: StorageClient,
    file: LocalFile,
    target: Target,
    *,
    attributes: Attributes,
    no_clobber: bool = False,
    keep_time: bool = False,
) -> Transfer:
    """Return the upload of a file.

    Args:
        client: Client of the store.
        file: The file.
        target: The object.
        attributes: Attributes of the object; a content type of None is guessed from the file's name.
        no_clobber: Do not replace an object.
        keep_time: Keep the time of the file in the metadata.
    """
    # The time at listing, not at upload: a file that changes meanwhile is uploaded again by the next `sync`.
    metadata = {**attributes.metadata, **({MTIME: str(file.mtime_ns)} if keep_time else {})}

    def run(moved: OnProgress) -> Mapping[str, Any]:
        try:
            return client.upload_file(
                target.bucket,
                target.key,
                file.path,
                attributes.content_type,
                metadata,
                if_absent=no_clobber,
                ttl=seconds_left(attributes.expires_at),
                progress=moved,
            )
        except AlreadyExistsError as error:
            raise taken(target) from error

    return Transfer(
        action="upload",
        source=str(file.path),
        destination=str(target),
        size=max(file.size, 0),
        run=run,
        problem=file.problem,
    )


def upload_input(
    client: StorageClient, target: Target, *, content_type: str | None = None, no_clobber: bool = False
) -> Transfer:
    """Return the upload of standard input."""

    def run(moved: OnProgress) -> Mapping[str, Any]:
        send = client.upload_from_stream
        try:
            with standard_input() as data:
                return send(target.bucket, target.key, data, content_type, if_absent=no_clobber, progress=moved)
        except AlreadyExistsError as error:
            raise taken(target) from error

    return Transfer(action="upload", source="-", destination=str(target), run=run)


def download(
    client: StorageClient,
    head: ObjectHead,
    source: Target,
    path: Path,
    *,
    inside: SafeFolder | None = None,
    no_clobber: bool = False,
    keep_time: bool = False,
) -> Transfer:
    """Return the download to a file.

    Args:
        client: Client of the store.
        head: Head of the object.
        source: The object, with the digest that it must have, if that is known.
        path: The file.
        inside: The folder that `path` must not lead out of, if it was made from the key.
        no_clobber: Do not replace a file.
        keep_time: Give the file the time of the object.
    """

    def run(moved: OnProgress) -> Mapping[str, Any]:
        if inside is not None:
            inside.check(path)
        # Before the transfer, to save it; the rename afterwards decides, since a file may come meanwhile.
        if no_clobber and os.path.lexists(path):
            raise taken(path)
        try:
            done = _fetch(client, source, path, overwrite=not no_clobber, moved=moved)
        except StorageError:  # some are a FileNotFoundError or a FileExistsError, too, of the object
            raise
        except FileNotFoundError as error:
            # Of the unfinished file beside it, which the user knows nothing of.
            error.filename = str(path.parent)
            raise
        except FileExistsError as error:
            raise (taken(path) if no_clobber and os.path.lexists(path) else error) from error
        if keep_time:
            # After the download, which sets the time itself. The next `sync` compares it with that of the object.
            os.utime(path, ns=(mtime_ns(head), mtime_ns(head)))
        return done

    transfer = Transfer(action="download", source=str(source), destination=str(path), size=head["size"], run=run)
    return transfer if no_clobber else replace(transfer, replaces=partial(file_at, path))


def copy(
    clients: tuple[StorageClient, StorageClient],
    head: ObjectHead,
    source: Target,
    target: Target,
    *,
    no_clobber: bool = False,
    pinned: bool = False,
) -> Transfer:
    """Return the copy of an object to another one: within the server, or through this process if there are two.

    Args:
        clients: Clients of the stores of source and destination.
        head: Head of the source.
        source: The source, with the digest that it must have, if that is known.
        target: The destination.
        no_clobber: Do not replace an object.
        pinned: Fail if the source is not of this head any more.
    """
    here, there = clients
    etag = head["etag"] if pinned else None

    def run(moved: OnProgress) -> Mapping[str, Any]:
        try:
            # A copy within the server sends no bytes here, so a digest could not be compared.
            if here.endpoint == there.endpoint and source.digest is None:
                names = (source.bucket, source.key, target.bucket, target.key)
                ttl = seconds_left(head["expires_at"])
                return here.copy_object(*names, if_absent=no_clobber, source_if_match=etag, ttl=ttl)
            return _stream(here, there, source, target, no_clobber=no_clobber, moved=moved)
        except AlreadyExistsError as error:
            raise taken(target) from error
        except PreconditionFailedError as error:
            raise changed(source.bucket, source.key) from error

    return Transfer(action="copy", source=str(source), destination=str(target), size=head["size"], run=run)


def is_folder_marker(head: ObjectHead) -> bool:
    """Return whether an object is empty and its key ends with a slash: other programs make such for directories."""
    return head["size"] == 0 and head["key"].endswith("/")


def mtime_ns(head: ObjectHead) -> int:
    """Return the last change of the content of an object, in nanoseconds since 1970."""
    # Other programs may have written the metadata: a time that is no number counts as none.
    with suppress(ValueError):
        return int(head["metadata"][MTIME]) if MTIME in head["metadata"] else _stored_ns(head)
    return _stored_ns(head)


def taken(what: object) -> TakenError:
    """Return the error for a destination that exists and is not replaced."""
    return TakenError(f"{what} is taken; drop --no-clobber to replace what is there")


def changed(bucket: str, key: str) -> PreconditionFailedError:
    """Return the error for an object that was replaced while it was moved."""
    return PreconditionFailedError("it changed while it was moved, and stays; move it again", bucket, key)


def _stored_ns(head: ObjectHead) -> int:
    return (head["last_modified"] - _EPOCH) // timedelta(microseconds=1) * 1000


def seconds_left(expires_at: datetime | None) -> int | None:
    """Return the seconds until an object expires, which are those of its copy, or None."""
    if expires_at is None:
        return None
    return max(1, math.ceil((expires_at - datetime.now(UTC)).total_seconds()))


def _stream(
    here: StorageClient, there: StorageClient, source: Target, target: Target, *, no_clobber: bool, moved: OnProgress
) -> Mapping[str, Any]:
    # The head of the generation that is read: one listed earlier may describe other bytes.
    head = here.head_object(source.bucket, source.key)
    return there.upload_from_stream(
        target.bucket,
        target.key,
        stream(here, source, generation=head["generation"]),
        head["content_type"],
        head["metadata"],
        if_absent=no_clobber,
        ttl=seconds_left(head["expires_at"]),
        progress=lambda done, _: moved(done, head["size"]),
    )


def _fetch(
    client: StorageClient, source: Target, path: Path, *, overwrite: bool, moved: OnProgress
) -> Mapping[str, Any]:
    if source.digest is None:
        return client.download_file(source.bucket, source.key, path, overwrite, progress=moved)
    # Beside the destination, and put in place only when the digest is right: nobody finds a file that fails the check.
    real = path.resolve()
    real.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=real.parent, prefix=".download-") as folder:
        part = Path(folder, "part")
        done = client.download_file(source.bucket, source.key, part, progress=moved)
        check_file(part, source)
        # A link fails if another process made the file meanwhile, which a rename would replace.
        (os.replace if overwrite else os.link)(part, real)
    return {**done, "file_path": str(path)}
