"""Methods that move objects to and from local files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations.local import make_path_posix
from fsspec.utils import isfilelike

from actorc.storage.errors import InvalidParameterError, ObjectNotFoundError
from lucas_storage.parallel import each

from .contents import ContentMethods, new_attributes, writing_mode
from .paths import is_a_directory, is_reference, reference, split, split_object


class TransferMethods(ContentMethods):
    """The methods of the file system that move objects to and from local files."""

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **options: Any,
    ) -> None:
        """Write objects to local files, each as `get_file` does, several at once unless a callback is given.

        Patterns and directories are those of `fsspec`. If one cannot be written, the others that have begun are.

        Raises:
            InvalidParameterError: A key has ``..`` in it, and would lead out of `lpath`.
        """
        path = self._strip_protocol(rpath)
        if isinstance(path, str) and is_reference(path):
            self._get_artifact(path, lpath, callback)
            return
        waiting: list[tuple[str, Any]] | None = [] if callback is DEFAULT_CALLBACK else None
        within = make_path_posix(lpath) if isinstance(lpath, str) else None
        names = {"recursive": recursive, "callback": callback, "maxdepth": maxdepth, "waiting": waiting}
        super().get(rpath, lpath, within=within, **names, **options)
        each(lambda pair: self.get_file(*pair, **options), waiting or ())

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **options: Any,
    ) -> None:
        """Store local files, each as `put_file` does, several at once unless a callback is given.

        Patterns and directories are those of `fsspec`. If one cannot be stored, the others that have begun are.
        """
        waiting: list[tuple[Any, str]] | None = [] if callback is DEFAULT_CALLBACK and not self._intrans else None
        names = {"recursive": recursive, "callback": callback, "maxdepth": maxdepth, "waiting": waiting}
        super().put(lpath, rpath, **names, **options)
        each(lambda pair: self.put_file(*pair, **options), waiting or ())

    def get_file(
        self,
        rpath: str,
        lpath: Any = None,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: Any = None,
        *,
        waiting: list[tuple[str, Any]] | None = None,
        within: str | None = None,
        **_: Any,
    ) -> None:
        """Write an object to a local file, which appears complete or not at all.

        A large one that was broken off goes on where it ended, as `StorageClient.download_file` does.

        Args:
            rpath: The object, or a reference to an artifact; of a directory, a local one is made.
            lpath: The file, or an open one.
            callback: Told the bytes that are done.
            outfile: An open file, instead of `lpath`.
            waiting: Used by `get`: gets both paths instead, and nothing is written.
            within: Used by `get`: the directory that `lpath` must not lead out of.

        Raises:
            FileNotFoundError: There is no object and no directory.
        """
        if within is not None:
            _check_within(lpath, within)
        if waiting is not None:
            waiting.append((rpath, lpath))
            return
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
        self,
        lpath: Any,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        *,
        waiting: list[tuple[Any, str]] | None = None,
        **attributes: Any,
    ) -> None:
        """Store a local file, all or nothing.

        A large one that was broken off goes on where it ended, as `StorageClient.upload_file` does.

        Args:
            lpath: The file; for a directory nothing is done, since one is there as long as it has objects.
            rpath: The object.
            callback: Told the bytes that are done.
            mode: ``create`` refuses to replace an object, which the server decides at the moment of the write.
            waiting: Used by `put`: gets both paths instead, and nothing is stored.
            attributes: ``content_type``, ``metadata``, ``ttl`` and ``if_match``, as for `StorageClient.put_object`.

        Raises:
            FileExistsError: `mode` is ``create``, and there is an object.
        """
        if waiting is not None:
            waiting.append((lpath, rpath))
            return
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
        self.client.upload_file(self._written(bucket), key, lpath, **options)

    def _get_artifact(self, path: str, lpath: Any, callback: Callback) -> None:
        # Not by the base class: a reference has a question mark, and is no pattern.
        if str(lpath).endswith("/") or Path(lpath).is_dir():
            ref = reference(path)
            lpath = Path(lpath, ref.filename or PurePosixPath(ref.key).name)
        self.get_file(path, lpath, callback)

    def _get_new(self, path: str, lpath: Any, callback: Callback) -> None:
        bucket, key = split(path)
        try:
            if not key:
                raise is_a_directory(path)
            self.client.download_file(bucket, key, lpath, overwrite=True, progress=_reporting(callback))
        except (IsADirectoryError, ObjectNotFoundError, InvalidParameterError):
            # Only now: most are objects, and the question takes a call. The last error is that of a local directory,
            # which a file in it, got at the same time, may have brought about.
            if not self.isdir(path):
                raise
            Path(lpath).mkdir(parents=True, exist_ok=True)


def _check_within(path: str, directory: str) -> None:
    # Later versions of fsspec do the same; the names come from the keys of a store, which others may write to.
    if os.path.relpath(path, directory).partition(os.sep)[0] == os.pardir:
        raise InvalidParameterError(
            f"{path} is outside of {directory}, by the '..' in a key; get that object alone, under a name of yours"
        )


def _reporting(callback: Callback) -> Callable[[int, int | None], None] | None:
    if callback is DEFAULT_CALLBACK:
        return None

    def report(done: int, total: int | None) -> None:
        if callback.size != total:
            callback.set_size(total)
        callback.absolute_update(done)

    return report
