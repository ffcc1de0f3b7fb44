"""Objects larger than one would hold in memory: streams in and out, any part of them, and progress.

lucas-storage run examples/big_files.py [MEBIBYTES]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from actorc.storage import StorageClient

MiB = 1 << 20
BUCKET, KEY = "big-files", "noise.bin"
size = int(sys.argv[1]) if len(sys.argv) > 1 else 64


def noise(mebibytes: int) -> Iterator[bytes]:
    """Make bytes one MiB at a time; nothing of them is kept."""
    for number in range(mebibytes):
        yield hashlib.shake_128(number.to_bytes(8, "big")).digest(MiB)


with StorageClient() as client, tempfile.TemporaryDirectory() as folder:
    client.create_bucket(BUCKET, exist_ok=True)
    columns = TextColumn("{task.description:>8}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn()
    with Progress(*columns) as bars:
        # A stream of unknown length: the object appears when the stream has ended well, and not before.
        up = bars.add_task("upload", total=size * MiB)
        client.upload_from_stream(BUCKET, KEY, noise(size), progress=lambda done, _: bars.update(up, completed=done))

        # Into a file: a broken connection is resumed, and the file appears when it is complete.
        down = bars.add_task("download", total=size * MiB)
        file = Path(folder, KEY)
        client.download_file(BUCKET, KEY, file, progress=lambda done, _: bars.update(down, completed=done))

    # Piece by piece: each is verified before it is handed out.
    digest = hashlib.sha256()
    for piece in client.stream_object(BUCKET, KEY):
        digest.update(piece)
    print(f"stream and file are the same: {digest.digest() == hashlib.sha256(file.read_bytes()).digest()}")

    # Any part: 16 bytes from the middle, without what comes before them.
    middle = client.get_object(BUCKET, KEY, offset=size * MiB // 2, length=16)
    print(f"16 bytes from the middle: {middle.hex()}")
    client.delete_object(BUCKET, KEY)
