"""Moves: a transfer, and then the removal of its source, if that is still what was transferred."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actorc.storage.errors import NotFoundError, PreconditionFailedError, StorageError
from lucas_storage.cli.output.progress import OnProgress

from .local_files import LocalFile
from .queue import Transfer
from .transfer import changed

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead


def moved(transfer: Transfer, remove: Callable[[], None]) -> Transfer:
    """Return a transfer that removes its source when the destination is complete, and never before."""

    def run(progress: OnProgress) -> Mapping[str, Any]:
        done = transfer.run(progress)
        remove()
        return done

    return replace(transfer, action="move", run=run)


def remove_object(client: StorageClient, head: ObjectHead) -> None:
    """Remove the generation of an object that was copied.

    Raises:
        PreconditionFailedError: Another one has taken its place, which stays.
        StorageError: It cannot be removed; the copy is complete.
    """
    bucket, key = head["bucket"], head["key"]
    try:
        client.delete_object(bucket, key, if_match=head["etag"])
    except NotFoundError:
        return  # another program removed it, which is as wanted
    except PreconditionFailedError as error:
        raise changed(bucket, key) from error
    except StorageError as error:
        error.message = f"it was copied, but stays here, too: {error.message}"
        raise


def remove_file(file: LocalFile) -> None:
    """Remove a file that was uploaded.

    Raises:
        PreconditionFailedError: It changed since it was listed, and stays.
        OSError: It cannot be removed; the upload is complete.
    """
    status = file.path.stat()
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise PreconditionFailedError(f"{file.path} changed while it was moved, and stays; move it again")
    file.path.unlink()


def remove_empty_folders(folder: Path) -> None:
    """Remove a folder and those below it that are empty, the deepest first; links are left alone."""
    if folder.is_symlink():
        return
    for path, _, _ in os.walk(folder, topdown=False):
        # Those that a failed or filtered file is in stay; `rmdir` removes empty ones only.
        with suppress(OSError):
            Path(path).rmdir()
