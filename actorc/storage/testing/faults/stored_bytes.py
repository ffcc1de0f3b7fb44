"""Damage to the bytes of an object where the durable engine keeps them."""

# ruff: noqa: SLF001 -- nobody but a test may change them, so the engine offers no way to
from __future__ import annotations

import sqlite3

from actorc.storage.errors import InvalidParameterError
from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.server.engines.local.rows import Segment


def flip_bit(engine: LocalEngine, bucket: str, key: str, at: int) -> None:
    """Flip a bit of the byte at `at` of an object, in its file or in the index.

    Raises:
        NotFoundError: There is no such object.
        InvalidParameterError: It has no such byte.
    """
    info, segments = engine._index.find(bucket, key, None)
    if not 0 <= at < info.size:
        raise InvalidParameterError(f"there is no byte {at} in an object of {info.size} bytes", bucket, key)
    for segment in segments:
        if at < segment.size:
            _flip(engine, bucket, key, segment, at)
            return
        at -= segment.size


def _flip(engine: LocalEngine, bucket: str, key: str, segment: Segment, at: int) -> None:
    if segment.file is not None:
        path = engine._blobs.path(segment.file)
        # blobs are not writable, so that nobody changes one by mistake
        mode = path.stat().st_mode
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1]))
        path.chmod(mode)
        return
    before = segment.data or b""
    after = before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :]

    def change(connection: sqlite3.Connection) -> None:
        _, content, _ = engine._index.objects.find(connection, bucket, key, None)
        leaves = "SELECT ? UNION SELECT leaf_id FROM segment WHERE content_id = ?"
        update = f"UPDATE content SET data = ? WHERE data = ? AND id IN ({leaves})"  # noqa: S608  # of own names only
        connection.execute(update, (after, before, content, content))

    engine._index.run(change)
