"""Opens the storage engine that a URL names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from actorc.storage.errors import InvalidParameterError

from .base import Engine
from .local import LocalEngine
from .local.disk.quarantine import DAYS
from .memory import MemoryEngine
from .times import UPLOAD_TTL


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundWork:
    """Settings of the background work of an engine."""

    upload_ttl: float = UPLOAD_TTL
    """Seconds that a multipart upload stays after its beginning or its last part."""
    scrub_days: float = 0.0
    """Days in which the scrubber reads and verifies everything once; 0: never."""
    quarantine_days: float = DAYS
    """Least days that blobs unknown to the index are kept."""


_DEFAULT = BackgroundWork()


def open_engine(url: str, background_work: BackgroundWork = _DEFAULT, *, group: int | None = None) -> Engine:
    """Open the engine that `url` names; closing it releases its medium.

    Args:
        url: ``memory://``, ``file:///absolute/directory``, a plain path, or the URL of a bucket in an object store:
            ``s3://bucket/prefix?endpoint=https://store.example.org``, ``gs://bucket`` or ``az://container``.
        background_work: Settings of its background work.
        group: Descriptor that `share_engine` returned in a parent process; owned by the engine from now on.

    Raises:
        InvalidParameterError: No engine has this scheme, or a ``file`` URL names another host or a relative path.
        StorageError: The directory is in use, holds something else, or cannot be written.
    """
    if "://" not in url:
        return _open_directory(url, background_work, group)
    parts = urlsplit(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_OPENERS))
        raise InvalidParameterError(
            f"no storage engine is known for {parts.scheme}://; use one of {known} or a plain path"
        )
    return opener(parts, background_work, group)


def share_engine(url: str) -> int:
    """Lock the medium of an engine for several processes; return a descriptor that they inherit.

    Raises:
        InvalidParameterError: The engine lives in one process.
        StorageError: The directory is in use, holds something else, or cannot be written.
    """
    engine = open_engine(url)
    if isinstance(engine, LocalEngine):
        return engine.share()
    engine.close()
    if engine.name == "remote" and engine.durable:
        # every process connects by itself and there is nothing to lock, so any descriptor will do
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    raise InvalidParameterError(
        f"the {engine.name} engine lives in one process; drop --workers, or give a data directory with --data"
    )


def _open_memory(parts: SplitResult, background_work: BackgroundWork, _group: int | None) -> Engine:
    if parts.netloc or parts.path:
        raise InvalidParameterError("the memory engine has no address; write memory:// and nothing behind it")
    return MemoryEngine(upload_ttl=background_work.upload_ttl)


def _open_file(parts: SplitResult, background_work: BackgroundWork, group: int | None) -> Engine:
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise InvalidParameterError("a file URL names an absolute path on this host; write file:///absolute/directory")
    return _open_directory(unquote(parts.path), background_work, group)


def _open_directory(path: str, background_work: BackgroundWork, group: int | None) -> Engine:
    if not path:
        raise InvalidParameterError("the data directory is not named; write a path or file:///absolute/directory")
    return LocalEngine(
        path,
        upload_ttl=background_work.upload_ttl,
        scrub_days=background_work.scrub_days,
        quarantine_days=background_work.quarantine_days,
        group=group,
    )


def _open_remote(parts: SplitResult, background_work: BackgroundWork, group: int | None) -> Engine:
    try:
        from .remote import RemoteEngine  # noqa: PLC0415 - obstore may be missing
        from .remote.store_url import StoreUrl  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise InvalidParameterError(
            f"obstore is not installed, and {parts.scheme}:// needs it; pip install 'lucas-storage[s3]', with Python "
            "3.11 or newer"
        ) from error
    # a placeholder: there is nothing to lock, see `share_engine`
    if group is not None:
        os.close(group)
    return RemoteEngine(StoreUrl.of(parts), upload_ttl=background_work.upload_ttl)


_Opener = Callable[[SplitResult, BackgroundWork, "int | None"], Engine]
_OPENERS: dict[str, _Opener] = {
    "memory": _open_memory,
    "file": _open_file,
    **dict.fromkeys(("s3", "gs", "az", "remote+memory"), _open_remote),
}
