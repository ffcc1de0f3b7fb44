"""Safe local paths for downloads: keys of strangers as file names that cannot leave the destination folder."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

from actorc.storage.errors import InvalidParameterError
from lucas_storage.cli.printing import printable

from .local_files import is_unfinished

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_MAX_NAME: Final = 255
"""Bytes of one segment that common file systems take."""
_MAX_PATH: Final = 4095
"""Bytes of a path that Linux takes."""


class SafeFolder:
    """A folder outside of which no file is written, whatever the keys are.

    Args:
        folder: The folder, which need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the path for a name with slashes.

        Raises:
            InvalidParameterError: It would leave the folder, or no file can have this name.
        """
        problem = _problem(name)
        # The bytes of the file's name are UTF-8 in every locale, also in one that has ASCII only.
        path = self._folder / os.fsdecode(name.encode("utf-8", "surrogatepass"))
        if not problem and len(os.fsencode(path.absolute())) > _MAX_PATH:
            problem = "makes a path that is too long"
        if problem:
            raise InvalidParameterError(f"the name {name!r} {problem}; it is not written, copy it alone to a file")
        return path

    def check(self, path: Path) -> None:
        """Check that `path` leads into the folder at this moment.

        Raises:
            InvalidParameterError: A symbolic link in it leads out of the folder.
        """
        # Right before writing, in addition to the check of the name: links may be in the folder, or come meanwhile.
        root, real = os.path.realpath(self._folder), os.path.realpath(path)
        if os.path.commonpath([root, real]) != root or root == real:
            raise InvalidParameterError(
                printable(f"{path} leads out of {self._folder} by a symbolic link; it is not written, remove the link")
            )


class ClaimedNames:
    """Names taken in one destination, each once: two sources must not overwrite each other silently.

    Args:
        folders: Whether a name cannot be both a file and a folder, as on a disk; keys can.
    """

    def __init__(self, *, folders: bool) -> None:
        self._with_folders = folders
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def claim(self, name: str) -> None:
        """Take a name.

        Raises:
            InvalidParameterError: It is taken, as a file or as a folder, or a part of it is taken as a file.
        """
        above = [str(each) for each in PurePosixPath(name).parents] if self._with_folders else []
        if name in self._files or name in self._folders or not self._files.isdisjoint(above):
            raise InvalidParameterError(
                f"{name} would take the place of another one that is copied to the same path; copy it alone"
            )
        self._files.add(name)
        self._folders.update(above)


def _problem(name: str) -> str:
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    # Names are refused, not cleaned: two keys could become one file.
    segments = name.split("/")
    if not {"", ".", ".."}.isdisjoint(segments):
        return "has an empty segment, or one that is '.' or '..'"
    if "\x00" in name:
        return "holds NUL"
    if max(len(segment.encode("utf-8", "surrogatepass")) for segment in segments) > _MAX_NAME:
        return "has a segment that is too long for a file"
    # A key of that form could replace the journal of a download, from which a later one would continue.
    if is_unfinished(segments[-1]):
        return "is one that unfinished downloads have here"
    return ""
