"""The stream that tells what an object is, and goes on as the first one of its download."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.payload import Download
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.models import NOTHING, ObjectInfo
from actorc.storage.rules import MiB

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore

MIN_STEP: Final = 4 * MiB
"""Least bytes of a step of a large download; this stream sums blocks of that size."""


class FirstStream:
    """A stream of all bytes of an object, which is described by now. A context manager that ends it.

    One thread at a time uses it, and not always the one that began it; `cancel` may be called from any.

    Args:
        remote: The server.
        bucket: Bucket name.
        key: Object key.
        timeout: Seconds for the whole stream; None for no limit.
        deferred: Whether bytes are asked for only once they are taken. Until then the object is merely described, and
            a stream that is not needed brings none of them.
    """

    def __init__(
        self, remote: RemoteStore, bucket: str, key: str, timeout: float | None, *, deferred: bool = False
    ) -> None:
        self.download = Download(block_size=MIN_STEP)
        """What has arrived."""
        self.answered = 0.0
        """Seconds until the server had answered."""
        self._first: bytes | memoryview = b""
        self._scope = cancellation.CancelScope()
        deadline, began = Deadline(timeout), time.monotonic()
        # in a scope of its own: the call outlives the scope of the thread that begins it
        with cancellation.running(self.cancel), cancellation.entered(self._scope):
            if deferred:
                self.download.describe(remote.content(bucket, key, NOTHING, timeout=timeout)[0])
            self._stream = remote.read(bucket, key, self.download, timeout=deadline.left())
            if not deferred:
                self._first = next(self._stream, b"")
        self.answered = time.monotonic() - began

    @property
    def info(self) -> ObjectInfo:
        """The object."""
        assert self.download.info is not None
        return self.download.info

    def pieces(self) -> Generator[bytes | memoryview, None, None]:
        """Yield all bytes, verified; the scope of the thread that asks ends the stream when it is cancelled."""
        with cancellation.running(self.cancel):
            yield self._first
            yield from self._stream

    def cancel(self) -> None:
        """End the call; `pieces` then raises."""
        self._scope.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # a second interrupt may leave a thread in it, which the cancellation ends
        self.cancel()
        with suppress(ValueError):
            self._stream.close()
