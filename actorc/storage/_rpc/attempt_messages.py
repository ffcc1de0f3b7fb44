"""The messages of one attempt, as the client sends and believes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from actorc.storage._wire import messages
from actorc.storage._wire.call_signing import Metadata
from actorc.storage._wire.message_checksum import ANSWER, HEADER, REQUEST, STATUS, YES, Checks
from actorc.storage.errors import StorageError


class Peer:
    """A server, as far as it is known. Safe to share between threads: what is known only grows."""

    def __init__(self) -> None:
        self.seals = False
        """Whether it said once that it sends checksums of its messages; then it is held to that."""


class Exchange:
    """What goes out is sealed; what comes in is opened, if the server seals.

    Args:
        method: Full name of the method.
        metadata: What the attempt begins with.
        peer: Whom it is made to.
        address: Names the server in errors.
    """

    def __init__(self, method: str, metadata: Metadata, peer: Peer, address: str) -> None:
        self.metadata: Metadata = (*metadata, (HEADER, YES))
        """What the attempt begins with, and that its messages are sealed."""
        sent = dict(metadata)
        self._checks = Checks(method, sent[messages.REQUEST_ID_KEY], sent[messages.ATTEMPT_KEY])
        self._peer = peer
        self._address = address

    def seal(self, request: bytes) -> bytes:
        """Return a serialized request as it is sent."""
        return self._checks.seal(request, REQUEST)

    def open(self, answer: bytes | None, announced: Callable[[], Any]) -> bytes | None:
        """Return a serialized answer that can be believed.

        Args:
            answer: What came; None if nothing did, which is for the caller to judge.
            announced: Returns the metadata by which the server may say that it seals.

        Raises:
            DamagedMessageError: It cannot be believed.
        """
        return self._checks.open(answer, ANSWER) if self._seals(announced) and answer is not None else answer

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn gRPC errors raised inside into those of `actorc.storage.errors`, the original chained."""
        try:
            yield
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def _failure(self, error: grpc.RpcError) -> StorageError:
        def opened(details: bytes) -> bytes:
            seals = self._seals(error.trailing_metadata) if isinstance(error, grpc.Call) else False
            return self._checks.open(details, STATUS) if seals else details

        return messages.error_from_rpc(error, self._address, opened)

    def _seals(self, announced: Callable[[], Any]) -> bool:
        if not self._peer.seals:
            said: Mapping[str, Any] = dict(announced() or ())
            self._peer.seals = said.get(HEADER) == YES
        return self._peer.seals
