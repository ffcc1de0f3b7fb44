"""`LucasFileSystem`: the file system behind ``lucas://``, which `fsspec` finds by its entry point."""

from __future__ import annotations

from .changes import ChangeMethods
from .transfers import TransferMethods


class LucasFileSystem(TransferMethods, ChangeMethods):
    """The objects of a store as files, for `fsspec` and what is built on it: pandas, polars, Dask, xarray and others.

    A path is ``lucas://bucket/key``, or a whole reference to an artifact, ``lucas://store/bucket/key?d=…&n=…&f=…``,
    which is read only and verified by its digest. Keys are taken as they are written.

    Every method asks the server: there is no cache of directories, so what another process wrote is seen at once.
    Writes are all or nothing, and conditional ones (``mode="create"``, ``"xb"``) are decided by the server. A file
    whose ``with`` body raises is not published. Directories are prefixes of keys; `mkdir` makes buckets.

    Safe to share between threads and after a fork. Its pickle holds no keys: the process that unpickles it takes them
    from its own settings.

    Args:
        args: Those of `StorageClient`, by position.
        options: Those of `StorageClient`, such as ``endpoint``, ``access_key`` and ``secret_key``. Without any, every
            call goes to the store of the settings, as those of `lucas_storage.Storage` do.

    Raises:
        TypeError: There is no such option.
        InvalidParameterError: An option cannot be used.
    """
