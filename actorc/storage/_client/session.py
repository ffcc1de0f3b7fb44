"""The settings of a client and its connection, which the first call makes."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from actorc.fork_hooks import ForkSafeLock
from actorc.storage import rules
from actorc.storage._rpc import result_dicts
from actorc.storage._rpc.retries.retry_policy import RetryPolicy
from actorc.storage.config import ClientOptions
from actorc.storage.models import WHOLE, ByteRange, Destination, PutResult

from . import arguments

if TYPE_CHECKING:
    from actorc.storage._rpc.byte_source import ByteSource
    from actorc.storage._rpc.operations.remote_store import RemoteStore
    from actorc.storage._rpc.payload import Progress
    from actorc.storage._rpc.transport import Transport
    from actorc.storage._transfer.object_stream import ObjectStream


_opening: Final = ForkSafeLock()
"""Guards the creation of stores, so that concurrent first calls of a client share one; it is rarely held."""


class Session:
    """The settings of a client and its connection. Any thread may call it, also in a child after a fork."""

    DEFAULT_CHUNK_SIZE: int = rules.DEFAULT_CHUNK_SIZE
    """Bytes of a part of an upload, unless a call says otherwise; a subclass may have another value."""
    PARALLEL_FROM: int = rules.PARALLEL_FROM
    """Bytes from which files are moved in parts and resumed; a subclass may have another value."""

    _options: ClientOptions
    _retry: RetryPolicy
    _store: RemoteStore | None
    _transport: Transport | None = None

    def _lead_over(self, options: ClientOptions, retry: RetryPolicy, transport: Transport) -> None:
        """Begin with a transport that is there already, in place of the connections that `options` name."""
        self._options, self._retry, self._transport, self._store = options, retry, transport, None

    @property
    def _remote(self) -> RemoteStore:
        # checked before the lock, which only the first calls take
        if self._store is None:
            from actorc.storage._rpc.operations.remote_store import RemoteStore  # noqa: PLC0415  # loads gRPC, which importing this module must not

            with _opening.held():
                self._store = self._store or RemoteStore(self._options, self._retry, self._transport)
        return self._store

    def _put(
        self,
        destination: Destination,
        source: ByteSource,
        *,
        chunk_size: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        from actorc.storage._transfer import stream_upload  # noqa: PLC0415  # loads the checksum library

        size = arguments.chunk_size(chunk_size, self.DEFAULT_CHUNK_SIZE)
        info = stream_upload.store(
            self._remote,
            destination,
            source,
            size,
            parallel_from=self.PARALLEL_FROM,
            progress=progress,
            timeout=timeout,
        )
        return result_dicts.put_result(info)

    def _stream(
        self,
        bucket: str,
        key: str,
        part: ByteRange = WHOLE,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> ObjectStream:
        from actorc.storage._transfer.object_stream import ObjectStream  # noqa: PLC0415  # loads the checksum library

        return ObjectStream(self._remote, bucket, key, part, generation, if_match=if_match, timeout=timeout)

    @staticmethod
    def _pieces(stream: ObjectStream, progress: Progress | None = None) -> Generator[bytes, None, None]:
        for piece in stream.pieces():
            if progress is not None:
                progress(stream.received, stream.size)
            yield piece if isinstance(piece, bytes) else bytes(piece)
