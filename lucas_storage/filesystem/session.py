"""The file system as an object: its options, its client, its paths and its pickle."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from fsspec.spec import AbstractFileSystem

from actorc.storage.client import StorageClient
from actorc.storage.config import ClientOptions
from actorc.storage.errors import BucketNotFoundError
from lucas_storage import settings
from lucas_storage.declared_settings import DEFAULT_STORE
from lucas_storage.references.handles import Handle, handle_for
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import storage_for

from . import paths

_SECRETS: Final = ("access_key", "secret_key")
"""Options that are never written into a pickle, JSON or a dict."""
_OF_CLIENT: Final = tuple(inspect.signature(StorageClient).parameters)
_OF_FSSPEC: Final = ("asynchronous", "batch_size", "listings_expiry_time", "loop", "max_paths", "use_listings_cache")
"""Options that `fsspec` and programs give to every file system; none of them means anything here."""


class _OfEnvironment(type(AbstractFileSystem)):  # type: ignore[misc]  # its class has no type
    """The class of file systems: an instance is not used again when the variables of its client have changed."""

    @property
    def variables(cls) -> list[tuple[str, str]]:
        """The variables that settings of a client may come from."""
        return sorted((name, value) for name, value in os.environ.items() if name.startswith("STORAGE_"))


class Session(AbstractFileSystem, metaclass=_OfEnvironment):
    """A file system with a client; the methods are in its subclasses. Safe to share between threads and after a fork.

    Without options, every call goes to the store of the settings as they are at that moment, as those of
    `lucas_storage.Storage` do. With options, which are those of `StorageClient`, to the server they name. All instances
    with the same options share one client.
    """

    protocol = paths.PROTOCOL
    root_marker = ""
    _extra_tokenize_attributes = ("variables",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        named = dict(zip(_OF_CLIENT, args, strict=False)) | options
        unknown = ", ".join(sorted({*named} - {*_OF_CLIENT, *_OF_FSSPEC}))
        if unknown or len(args) > len(_OF_CLIENT):
            raise TypeError(
                f"the file system has no option {unknown or args[-1]!r}; options are those of StorageClient, which are "
                f"{', '.join(_OF_CLIENT)}"
            )
        given = {name: value for name, value in named.items() if name in _OF_CLIENT and value is not None}
        self._given: Final = (
            _client(ClientOptions.resolve(**_resolvable(given)), tuple(given.items())) if given else None
        )

    @property
    def client(self) -> StorageClient:
        """The client that the methods use; not to be closed, since others use it, too."""
        # Asked at each call: the settings may have changed since, by a context, a variable or a server that started.
        return self._given or storage_for()

    @property
    def fsid(self) -> str:
        """The protocol and the server, by which two file systems may be compared."""
        return f"{paths.PROTOCOL}_{self.client.endpoint}"

    def _handle(self, ref: ArtifactRef) -> Handle:
        """Return the handle that reads an artifact: of the server that was given, or of the store the reference names.

        Raises:
            UnknownStoreError: There is no endpoint for the store.
        """
        if self._given is None or ref.store != DEFAULT_STORE:
            return handle_for(ref.store)
        given = {name: getattr(self._given, name) for name in ("endpoint", *_SECRETS)}
        with settings.storage_context(**{name: value for name, value in given.items() if value is not None}):
            return handle_for(ref.store)

    @contextmanager
    def _explained(self, bucket: str) -> Iterator[None]:
        """Add to the error about a missing bucket that its name is that of a store, if it is one."""
        try:
            yield
        except BucketNotFoundError as error:
            if bucket in settings.resolve().endpoints:
                error.message += f"; {_a_store(bucket)}"
                error.args = (error.message,)
            raise

    def _written(self, bucket: str) -> str:
        """Return a bucket that is written to, unless the server would make it by the name of a store.

        Raises:
            BucketNotFoundError: It is not there, and a store has its name. A server that makes buckets as they are
                written to would put the object where neither the command line nor the client looks for it.
        """
        if bucket in settings.resolve().endpoints and not self.client.bucket_exists(bucket):
            raise BucketNotFoundError(
                f"the bucket does not exist; {_a_store(bucket)}; if a bucket of this name is meant, make it first with "
                f"mkdir({bucket!r})",
                bucket,
            )
        return bucket

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        stripped = super()._strip_protocol(path)
        # A list is stripped item by item, by this method. No bucket begins with a slash, so one is of a URL or a root.
        return stripped.lstrip("/") if isinstance(stripped, str) else stripped

    def __reduce__(self) -> tuple[Any, ...]:
        # The process that unpickles it takes its own keys from its own settings, as a client does.
        return _remade, (type(self), *_without_secrets(self.storage_args, self.storage_options))

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """Return what makes this file system again, without its keys, as a dict for JSON."""
        described: dict[str, Any] = super().to_dict(include_password=include_password)
        args, options = _without_secrets(tuple(described.pop("args")), described)
        return {"args": args, **options}


def _a_store(name: str) -> str:
    return (
        f"{name!r} is the name of a store, which stands before the bucket on the command line and in references, but "
        "not here"
    )


def _without_secrets(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    kept = [None if name in _SECRETS else value for name, value in zip(_OF_CLIENT, args, strict=False)]
    return tuple(kept), {name: value for name, value in options.items() if name not in _SECRETS}


def _remade(cls: type[Session], args: tuple[Any, ...], options: dict[str, Any]) -> Session:
    return cls(*args, **options)


def _resolvable(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "retry"}


# By what the options came to, so that another environment has another client. Several instances with the same options
# are usual, as fsspec makes one for each thread; each with its own connections would leave those of threads that ended.
@lru_cache(maxsize=32)
def _client(_resolved: ClientOptions, given: tuple[tuple[str, Any], ...]) -> StorageClient:
    return StorageClient(**dict(given))
