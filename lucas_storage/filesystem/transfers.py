"""Methods that move objects to and from local files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.utils import isfilelike

from actorc.storage.errors import ObjectNotFoundError

from .contents import ContentMethods, new_attributes, writing_mode
from .paths import is_a_directory, is_reference, reference, split, split_object


class TransferMethods(ContentMethods):
    """The methods of the file system that move objects to and from local files."""

    def get(self, rpath: Any, lpath: Any, *args: Any, **options: Any) -> None:
        """Write objects to local files, as `get_file` does; patterns and directories are those of `fsspec`."""
        path = self._strip_protocol(rpath)
        if not isinstance(path, str) or not is_reference(path):
            super().get(rpath, lpath, *args, **options)
            return
        # A reference is no pattern, though it has a question mark.
        if str(lpath).endswith("/") or Path(lpath).is_dir():
            ref = reference(path)
            lpath = Path(lpath, ref.filename or PurePosixPath(ref.key).name)
        self.get_file(path, lpath, options.get("callback", DEFAULT_CALLBACK))

    def get_file(
        self, rpath: str, lpath: Any = None, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None, **_: Any
    ) -> None:
        """Write an object to a local file, which appears complete or not at all.

        A large one that was broken off goes on where it ended, as `StorageClient.download_file` does.

        Args:
            rpath: The object, or a reference to an artifact; of a directory, a local one is made.
            lpath: The file, or an open one.
            callback: Told the bytes that are done.
            outfile: An open file, instead of `lpath`.

        Raises:
            FileNotFoundError: There is no object and no directory.
        """
        path = self._strip_protocol(rpath)
        target = lpath if outfile is None and isfilelike(lpath) else outfile
        if is_reference(path):
            super().get_file(path, lpath, callback=callback, outfile=target)
            return
        if target is not None:
            self.client.download_to_stream(*split_object(path), target, progress=_reporting(callback))
        elif Path(lpath).is_dir():
            if not self.isdir(path):
                raise is_a_directory(os.fspath(lpath))
        else:
            self._get_new(path, lpath, callback)

    def put_file(
        self, lpath: Any, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **attributes: Any
    ) -> None:
        """Store a local file, all or nothing.

        A large one that was broken off goes on where it ended, as `StorageClient.upload_file` does.

        Args:
            lpath: The file; for a directory nothing is done, since one is there as long as it has objects.
            rpath: The object.
            callback: Told the bytes that are done.
            mode: ``create`` refuses to replace an object, which the server decides at the moment of the write.
            attributes: ``content_type``, ``metadata``, ``ttl`` and ``if_match``, as for `StorageClient.put_object`.

        Raises:
            FileExistsError: `mode` is ``create``, and there is an object.
        """
        local = Path(lpath)
        if local.is_dir():
            return
        callback.set_size(local.stat().st_size)
        if self._intrans:
            with local.open("rb") as source, self.open(rpath, writing_mode(mode), **attributes) as target:
                shutil.copyfileobj(source, target)
            return
        bucket, key = split_object(self._strip_protocol(rpath))
        options = {**new_attributes(mode, **attributes), "progress": _reporting(callback)}
        self.client.upload_file(bucket, key, lpath, **options)

    def _get_new(self, path: str, lpath: Any, callback: Callback) -> None:
        bucket, key = split(path)
        try:
            if not key:
                raise is_a_directory(path)
            self.client.download_file(bucket, key, lpath, overwrite=True, progress=_reporting(callback))
        except (IsADirectoryError, ObjectNotFoundError):
            # Only now: most are objects, and the question takes a call.
            if not self.isdir(path):
                raise
            Path(lpath).mkdir(parents=True, exist_ok=True)


def _reporting(callback: Callback) -> Callable[[int, int | None], None]:
    def report(done: int, total: int | None) -> None:
        if callback.size != total:
            callback.set_size(total)
        callback.absolute_update(done)

    return report
