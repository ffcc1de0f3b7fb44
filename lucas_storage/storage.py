"""`Storage`: the handle of a store that decorated functions get, and that the plugin itself uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from actorc.storage.context_variables import bound
from actorc.storage.errors import InvalidParameterError

from . import settings
from .artifacts import scratch
from .artifacts.artifact_file import ArtifactFile
from .artifacts.private_copies import copy_into
from .artifacts.store import ArtifactStore
from .declared_settings import Settings
from .errors import NoFormatError
from .formats.composite import STREAM, TREE
from .parallel import each
from .reach.renewal import renew
from .records.checkpoints import Checkpoint
from .records.published_names import lookup, publish
from .references.fields import is_filename
from .references.handles import ArtifactStat
from .refs import ArtifactRef
from .values.loading import incoming
from .values.storing import outgoing
from .values.storing.store_value import declared

__all__ = ["ArtifactStat", "Storage", "storage_for"]

_HANDLE_SETTINGS: Final = (
    "profile",
    "access_key",
    "secret_key",
    "bucket",
    "prefix",
    "cache_dir",
    "cache_max",
    "cache_scrub",
    "pickle",
    "signing_key",
    "grace",
)
"""Settings that a handle reads when it is made; other values of these need another handle."""

_make: ContextVar[Callable[[str], Storage] | None] = ContextVar("lucas_storage_handles", default=None)
_make_everywhere: Callable[[str], Storage] | None = None


class Storage(ArtifactStore):
    """A storage client that knows artifacts.

    It has all methods of a `StorageClient`, and `put`, `writer`, `get`, `open`, `path`, `prefetch`, `stat`, `verify`,
    `publish`, `lookup`, `checkpoint` and `scratch` for artifacts, which alone use the bucket of the settings. Safe to
    share between threads and after a fork. Its pickle holds the name of the store only: the process that unpickles it
    uses its own endpoint and credentials.

    Args:
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
        SettingsError: A setting cannot be used.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # By name: a handle with credentials in a pickle would carry them to every worker, and into every store.
        return storage_for, (self.store_name,)

    def put(self, value: Any, *, format: str | None = None) -> ArtifactRef:  # noqa: A002
        """Store a value and return its reference; equal bytes are stored once.

        Args:
            value: Anything a result can be: data, a `Path` to a file or directory, an iterator, an open file, which is
                stored whole, wherever it stands. A reference is returned as it is.
            format: Format id or name; None lets the value decide.

        Raises:
            NoFormatError: No format holds the value, or not the one asked for.
            UnsafeFormatError: Only a pickle holds the value, and pickles are denied or cannot be signed.
        """
        return outgoing.store(value, format, self.store_name)

    def writer(
        self,
        format: str | None = None,  # noqa: A002
        *,
        name: str | None = None,
    ) -> AbstractContextManager[ArtifactFile]:
        """Return a binary file to be opened by ``with``, whose bytes become an artifact, all or nothing.

        The file has the reference as its `ref` once the body has ended; a body that raises stores no artifact. Parts
        are stored while the rest is written, so that memory is bounded whatever the size::

            with storage.writer(name="table.csv") as file:
                file.write(b"...")
            ref = file.ref

        Args:
            format: Format id or name of the bytes, such as ``parquet``; None takes ``bytes@1``.
            name: Name of the file where a later step asks for a `Path`.

        Raises:
            UnknownFormatError: There is no such format here.
            NoFormatError: The format is not one of plain bytes.
            UnsafeFormatError: The format is that of pickles, which only `put` writes.
            InvalidParameterError: `name` is no file name.
        """
        fmt = declared(format)
        if fmt.id in (TREE, STREAM):
            raise NoFormatError(
                f"a file cannot be declared to be {fmt.id}, which has parts; return a directory or a generator"
            )
        if name is not None and not is_filename(name):
            raise InvalidParameterError(f"the name {name!r:.80} is not a file name; drop its directories")
        return self.writing(fmt, name)

    def prefetch(self, *refs: object) -> None:
        """Load artifacts into the local cache, several at once, and return when all are there.

        Artifacts in the cache are not fetched again. The copies stay as long as those that `path` returns.

        Args:
            refs: Each an `ArtifactRef`, a URI, or a tagged dict; of any store this process knows.

        Raises:
            ArtifactNotFoundError: The store does not hold one any more.
            DigestMismatchError: The bytes of one are damaged.
            CacheFullError: The cache has no room for them.
        """
        parsed = map(ArtifactRef.parse, refs)
        each(self.path, [ref for ref in parsed if ref.inline is None])

    def get(self, ref: object, as_: Any = None) -> Any:
        """Return the value of a reference, verified, with the references in it resolved.

        Args:
            ref: An `ArtifactRef`, a URI, or a tagged dict; of any store this process knows.
            as_: An annotation such as ``np.ndarray`` or ``list[Path]``; None takes each as it was stored.

        Raises:
            ArtifactNotFoundError: The store does not hold it any more.
            DigestMismatchError: The bytes are damaged; they were not decoded.
            UnsafeFormatError: It is a pickle without a valid signature; it was not unpickled.
        """
        return incoming.value_of(ArtifactRef.parse(ref), as_)

    def publish(
        self,
        ref: object,
        name: str,
        *,
        version: str | None = None,
        alias: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> ArtifactRef:
        """Give an artifact a name by which other runs find it, keep it from being collected, and return its reference.

        Publications are permanent. A version with the same content is published once, however often this is called.

        Args:
            ref: An `ArtifactRef`, a URI, or a tagged dict, of this store and bucket.
            name: 1-128 letters, digits, dots, hyphens and underscores; likewise `version` and `alias`.
            version: Stands for this artifact for ever.
            alias: Stands for this artifact until it is published for another.
            tags: JSON data kept beside the reference.

        Raises:
            VersionTakenError: The version was published with other content.
            ArtifactNotFoundError: The store does not hold the artifact any more.
            InvalidParameterError: A name breaks a rule, or the artifact is in another store.
        """
        renewed = partial(renew, self)
        return publish(self, ArtifactRef.parse(ref), name, version=version, alias=alias, tags=tags, renew=renewed)

    def lookup(self, name: str) -> ArtifactRef:
        """Return the reference published as ``name`` last, or as ``name@alias`` or ``name@version``.

        The reference has the digest, so it stays the same when the alias is published for another artifact.

        Raises:
            ArtifactNotFoundError: Nothing is published under that name.
        """
        return lookup(self, name)

    def checkpoint(self) -> Checkpoint:
        """Return the state that earlier attempts of this step saved, with the same function version and inputs.

        Raises:
            RuntimeError: No step is running here.
            CacheKeyError: An input of the step has no digest to know it by.
        """
        return Checkpoint(self)

    def scratch(self, *, copy_of: str | os.PathLike[str] | None = None) -> Path:
        """Return a new, empty directory, which is removed after the current step has ended and its result is stored.

        Outside a step it is removed when this process ends.

        Args:
            copy_of: A local file or directory, such as `path` returns, of which a copy is put there. The copy, under
                the name of the original, is returned instead. It is the step's own and can be written to. It shares its
                blocks with the original where the file system can (Btrfs, XFS, with the temporary directory on the same
                one), and is copied otherwise. Links within a directory stay links.

        Raises:
            FileNotFoundError: `copy_of` does not exist.
            TypeError: `copy_of` is a reference; pass ``storage.path(ref)``.
            InvalidParameterError: `copy_of` is, or contains, something that is neither a file nor a directory.
        """
        if copy_of is None:
            return scratch.directory()
        if not isinstance(copy_of, (str, os.PathLike)):
            raise TypeError(
                f"scratch copies a local path, and not a {type(copy_of).__name__}; pass storage.path() of a reference"
            )
        return copy_into(scratch.directory(), Path(copy_of))


@contextmanager
def handles(make: Callable[[str], Storage], *, whole_process: bool = False) -> Iterator[None]:
    """Let code of the body, and of threads in a copy of its context, get the handles that `make` returns by name.

    Args:
        make: Returns the handle of a store.
        whole_process: Whether threads without that context get them as well; for a process that does nothing else.
    """
    global _make_everywhere  # noqa: PLW0603
    before = _make_everywhere
    _make_everywhere = make if whole_process else before
    try:
        with bound(_make, make):
            yield
    finally:
        _make_everywhere = before


def are_handles_replaced() -> bool:
    """Return whether the handles of this context are those of `handles`, which hold in this process alone."""
    return (_make.get() or _make_everywhere) is not None


def storage_for(store: str | None = None, present: Settings | None = None) -> Storage:
    """Return this process's handle for a store, made on first use for the settings in force; named in pickles.

    Args:
        store: Logical name of the store; None takes the one of the settings.
        present: The settings in force, for a caller that has looked them up.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
    """
    # The settings are part of the key: a step within `storage_context` must not get the handle of another context.
    present = settings.resolve() if present is None else present
    name = present.store.value if store is None else store
    make = _make.get() or _make_everywhere
    if make is not None:
        return make(name)
    process = os.getpid()
    # The very settings of the last time, as every step has them: comparing them by value takes as long as finding them.
    last = _last.get(name)
    if last is not None and last[0] is present and last[1] == process:
        return last[2]
    known = present.endpoint(name), *(getattr(present, field) for field in _HANDLE_SETTINGS)
    handle = _handle(process, name, known)
    _last[name] = present, process, handle
    return handle


_last: Final[dict[str, tuple[Settings, int, Storage]]] = {}
"""By store, the settings and the process for which a handle was asked last, and that handle."""


# By process, so that a forked child makes handles, with locks and leases, of its own.
@lru_cache(maxsize=32)
def _handle(_process: int, store: str, _settings: tuple[object, ...]) -> Storage:
    handle = Storage(store)
    handle._shared = True  # noqa: SLF001  # of this very class
    return handle
