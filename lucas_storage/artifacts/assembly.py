"""Assembly of a file or directory from the verified parts of its manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from actorc.storage.files import file_copies
from lucas_storage.errors import DecodeError

from .manifest import Manifest, Part
from .part_transfer import run_ahead

Fetch = Callable[[Part], bytes]
"""Returns the bytes of a part, verified."""


def assemble(manifest: Manifest, target: Path, fetch: Fetch) -> None:
    """Make the file or directory that a manifest describes, read-only but for the topmost directory.

    Args:
        manifest: Its paths were checked as it was decoded.
        target: Path of the new file or directory; nothing is there yet.
        fetch: Returns the verified bytes of a part; is called by several threads.
    """
    if manifest.files is None:
        _make_files({target: manifest.parts}, fetch)
        target.chmod(0o444)
        return
    target.mkdir(mode=0o700)
    for folder in manifest.folders:
        (target / folder).mkdir(parents=True)
    places = {file: target / file.path for file in manifest.files}
    for place in places.values():
        place.parent.mkdir(parents=True, exist_ok=True)
    _make_files({place: file.parts for file, place in places.items()}, fetch)
    for file, place in places.items():
        place.chmod(0o555 if file.executable else 0o444)
    # Last, and the innermost first: no file can be made in a directory that is read-only. The topmost one is closed
    # when the copy is published, after the names within it are final.
    for folder, _, _ in os.walk(target, topdown=False):
        if folder != str(target):
            Path(folder).chmod(0o555)


def _make_files(files: dict[Path, tuple[Part, ...]], fetch: Fetch) -> None:
    # All files are made before a part is fetched: two names that are one on this file system are found here, rather
    # than mixed into one file by two threads.
    for place in files:
        try:
            place.open("xb").close()
        except FileExistsError as error:  # the file system takes two names that differ for one
            raise DecodeError(
                f"a directory holds {place.name!r} under two names that are one on this file system; set "
                "LUCAS_STORAGE_CACHE to a directory on one that tells upper case from lower"
            ) from error
    for _ in run_ahead(_writes(files, fetch)):
        pass


def _writes(files: dict[Path, tuple[Part, ...]], fetch: Fetch) -> Iterator[Callable[[], None]]:
    for place, parts in files.items():
        offset = 0
        for part in parts:
            yield partial(_write, place, offset, part, fetch)
            offset += part.size


def _write(place: Path, offset: int, part: Part, fetch: Fetch) -> None:
    data = fetch(part)
    with place.open("r+b", buffering=0) as file:
        file_copies.write(file.fileno(), data, offset)
