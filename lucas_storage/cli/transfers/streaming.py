"""Streams of the content of a target, checked against the digest of the reference, if a whole one was given."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from actorc.storage.errors import IntegrityError
from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import Target

if TYPE_CHECKING:
    from hashlib import _Hash

    from actorc.storage.client import StorageClient


def stream(client: StorageClient, target: Target, *, generation: int | None = None) -> Iterator[bytes]:
    """Iterate over the whole content, of one generation if that is given.

    Raises:
        IntegrityError: After the last piece, if the content does not have the digest of the reference.
    """
    running = hashlib.sha256()
    for piece in client.stream_object(target.bucket, target.key, generation=generation):
        if target.digest:
            running.update(piece)
        # Before the digest is known, since a stream cannot be held back; each piece has passed the checksums of the
        # store.
        yield piece
    _compare(running, target)


def write_out(pieces: Iterator[bytes]) -> None:
    """Write content to standard output."""
    output = sys.stdout.buffer
    for piece in pieces:
        output.write(piece)
    output.flush()


def emit(session: Session, target: Target, pieces: Iterator[bytes], offset: int = 0) -> None:
    """Write content, from `offset` of an object on, to standard output; for programs, each piece as a line of JSON."""
    if not session.as_json:
        write_out(pieces)
        return
    for piece in pieces:
        data = base64.b64encode(piece).decode()
        session.emit({"bucket": target.bucket, "key": target.key, "offset": offset, "data": data}, None)
        offset += len(piece)


def check_file(path: Path, target: Target) -> None:
    """Check a downloaded file.

    Raises:
        IntegrityError: It does not have the digest of the reference.
    """
    with path.open("rb") as file:
        _compare(hashlib.file_digest(file, "sha256"), target)


def _compare(running: _Hash, target: Target) -> None:
    if target.digest and target.digest != "sha256:" + running.hexdigest():
        raise IntegrityError(
            "the stored bytes do not match the digest in the reference; run the step that made them again",
            target.bucket,
            target.key,
        )
