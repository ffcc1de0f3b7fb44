"""Handles of stores that are read as they are, and of which everything that is written lies aside until it is dropped.

A step that is replayed stores its result, and perhaps other artifacts, records and objects, and reads them again. All
of these go to a server in this process, on a temporary directory. What the step removes stays where it is.
"""

from __future__ import annotations

import heapq
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final, Self, cast

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from actorc.storage.models import NewObject, ObjectHead
from lucas_storage.errors import UnsupportedError
from lucas_storage.records import record_store
from lucas_storage.storage import Storage

_WRITES: Final = frozenset("wax+")
"""Letters of the modes in which a file over an object is written."""


class Aside:
    """What a replay writes, for all stores. Safe to share between threads; to be entered, and dropped at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        # Guards the server and the handles, which the first thread that needs one makes.
        self._lock = threading.RLock()
        self._client: StorageClient | None = None
        self._handles: dict[str, AsideStorage] = {}
        self.written: set[tuple[str, str, str]] = set()
        """Store, bucket and key of each object that lies aside."""

    @property
    def client(self) -> StorageClient:
        """The client of the server, which is started when it is first asked for: most steps write nothing."""
        with self._lock:
            if self._client is None:
                from actorc.storage.testing import local_server  # noqa: PLC0415  # a server is slow to load

                folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lucas-storage-replay-"))
                server = self._stack.enter_context(local_server(f"file://{folder}"))
                self._client = self._stack.enter_context(server.client())
            return self._client

    def handle(self, store: str) -> Storage:
        """Return the handle of a store, the same one every time."""
        with self._lock:
            if store not in self._handles:
                handle = AsideStorage(store, self)
                self._stack.callback(handle.end)
                self._handles[store] = handle
            return self._handles[store]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _reading(name: str) -> Any:
    """Return a method that reads an object, from aside if it was written there."""

    def method(self: AsideStorage, bucket: str, key: str, *args: Any, **options: Any) -> Any:
        return getattr(self._holding(bucket, key), name)(bucket, key, *args, **options)

    return method


def _writing(name: str) -> Any:
    """Return a method that writes an object, aside."""

    def method(self: AsideStorage, bucket: str, key: str, *args: Any, **options: Any) -> Any:
        options = self._unconditional(bucket, key, options)
        result = getattr(self._aside.client, name)(bucket, key, *args, **options)
        self._wrote(bucket, key)
        return result

    return method


def _refusing(name: str) -> Any:
    """Return a method that raises."""

    def method(_self: AsideStorage, *_args: Any, **_options: Any) -> Any:
        raise UnsupportedError(f"a step that is replayed changes nothing in the store, so that it cannot {name}")

    return method


class AsideStorage(Storage):
    """A handle of one store whose writes go aside. Safe to share between threads.

    Args:
        store: Logical name of the store.
        aside: Takes what is written.
    """

    def __init__(self, store: str, aside: Aside) -> None:
        super().__init__(store)
        self._shared = True
        self._aside = aside
        # Of a store of its own class, which has the methods that are replaced here.
        self._real = Storage(store)

    def end(self) -> None:
        """Close both connections."""
        self._shared = False
        self.close()
        self._real.close()

    get_object = _reading("get_object")
    get_ranges = _reading("get_ranges")
    stream_object = _reading("stream_object")
    head_object = _reading("head_object")
    object_exists = _reading("object_exists")
    open_blob = _reading("open_blob")
    download_file = _reading("download_file")
    download_to_stream = _reading("download_to_stream")
    put_object = _writing("put_object")
    upload_file = _writing("upload_file")
    upload_from_stream = _writing("upload_from_stream")
    copy_object = _refusing("copy objects")
    delete_bucket = _refusing("remove a bucket")
    create_multipart_upload = _refusing("upload parts itself")
    upload_part = _refusing("upload parts itself")
    complete_multipart_upload = _refusing("upload parts itself")

    def put_objects(self, bucket: str, objects: Any, **options: Any) -> Any:
        """Write objects aside."""
        errors: dict[str, StorageError] = {}
        allowed = []
        for item in objects:
            try:
                allowed.append(cast("NewObject", self._unconditional(bucket, item["key"], item)))
            except StorageError as error:
                errors[item["key"]] = error
        result = self._aside.client.put_objects(bucket, allowed, **options)
        for stored in result["stored"]:
            self._wrote(bucket, stored["key"])
        return {**result, "errors": {**errors, **result["errors"]}}

    def get_objects(self, bucket: str, keys: Any, **options: Any) -> Any:
        """Read small objects, each from where it is."""
        names = list(keys)
        aside = [key for key in names if self._is_aside(bucket, key)]
        result = self._real.get_objects(bucket, [key for key in names if key not in aside], **options)
        if aside:
            more = self._aside.client.get_objects(bucket, aside, **options)
            result["objects"] += more["objects"]
            result["errors"] |= more["errors"]
        return result

    def open_object(self, bucket: str, key: str, mode: str = "rb", **options: Any) -> Any:
        """Open an object as a file; one that is written lies aside."""
        if not _WRITES & set(mode):
            return self._holding(bucket, key).open_object(bucket, key, mode, **options)
        file: Any = self._aside.client.open_object(bucket, key, mode, **options)
        self._wrote(bucket, key)
        return file

    def iter_objects(
        self, bucket: str, prefix: str = "", *, details: bool = True, timeout: float | None = None
    ) -> Iterator[ObjectHead]:
        """Iterate over the objects of both, in the order of their keys."""
        real = self._real.iter_objects(bucket, prefix, details=details, timeout=timeout)
        if not any(written[:2] == (self.store_name, bucket) for written in self._aside.written):
            return real
        kept = (head for head in _known(real) if not self._is_aside(bucket, head["key"]))
        return heapq.merge(
            kept, self._aside.client.iter_objects(bucket, prefix, details=details), key=lambda head: head["key"]
        )

    def create_bucket(self, bucket: str, **options: Any) -> Any:
        """Make a bucket aside."""
        return self._aside.client.create_bucket(bucket, **options)

    def delete_object(self, bucket: str, key: str, **options: Any) -> Any:
        """Drop an object that lies aside; any other stays."""
        if self._is_aside(bucket, key):
            self._aside.client.delete_object(bucket, key, **options)
            self._aside.written.discard((self.store_name, bucket, key))

    def delete_objects(self, bucket: str, keys: Any, **_options: Any) -> Any:
        """Drop objects that lie aside; any others stay."""
        names = list(keys)
        for key in names:
            self.delete_object(bucket, key)
        return {"deleted": names, "errors": {}}

    def _holding(self, bucket: str, key: str) -> StorageClient:
        if self._is_aside(bucket, key):
            return self._aside.client
        # The state that the step saved as it ran first is none of its inputs: it would go on from there.
        if bucket == self.bucket and key.startswith(record_store.CHECKPOINTS):
            raise ObjectNotFoundError("a step that is replayed begins without a checkpoint", bucket=bucket, key=key)
        return self._real

    def _unconditional(self, bucket: str, key: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options without the conditions of an object that is not aside, which are checked here."""
        rest = dict(options)
        if self._is_aside(bucket, key):
            return rest
        etag = rest.pop("if_match", None)
        if etag is not None and self.head_object(bucket, key)["etag"] != etag:
            raise PreconditionFailedError("the object is another one by now; read it again", bucket=bucket, key=key)
        if rest.pop("if_absent", False) and self.object_exists(bucket, key):
            raise AlreadyExistsError("the object exists already; choose another key", bucket=bucket, key=key)
        return rest

    def _is_aside(self, bucket: str, key: str) -> bool:
        return (self.store_name, bucket, key) in self._aside.written

    def _wrote(self, bucket: str, key: str) -> None:
        self._aside.written.add((self.store_name, bucket, key))


def _known(heads: Iterator[ObjectHead]) -> Iterator[ObjectHead]:
    try:
        yield from heads
    except BucketNotFoundError:
        return
