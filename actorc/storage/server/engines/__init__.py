"""Where bytes rest, by URL."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit

from actorc.storage.errors import InvalidParameterError

from .base import Engine
from .local import LocalEngine
from .memory import MemoryEngine


def open_engine(url: str) -> Engine:
    """Open the engine that `url` names; close it to let go of its medium.

    Args:
        url: ``memory://``, ``file:///absolute/directory`` or a plain path.

    Raises:
        InvalidParameterError: No engine has this scheme, or a ``file`` URL names another host or a relative path.
        StorageError: The directory is in use, holds something else, or cannot be written.
    """
    if "://" not in url:
        return _open_directory(url)
    parts = urlsplit(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_OPENERS))
        raise InvalidParameterError(f"no storage engine is known for {url!r}; use one of {known} or a plain path")
    return opener(parts)


def _open_memory(parts: SplitResult) -> Engine:
    if parts.netloc or parts.path:
        raise InvalidParameterError("the memory engine has no address; write memory:// and nothing behind it")
    return MemoryEngine()


def _open_file(parts: SplitResult) -> Engine:
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise InvalidParameterError("a file URL names an absolute path on this host; write file:///absolute/directory")
    return _open_directory(unquote(parts.path))


def _open_directory(path: str) -> Engine:
    if not path:
        raise InvalidParameterError("the data directory is not named; write a path or file:///absolute/directory")
    return LocalEngine(path)


_OPENERS: dict[str, Callable[[SplitResult], Engine]] = {"memory": _open_memory, "file": _open_file}
