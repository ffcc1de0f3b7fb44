"""The client's end of a stream of bytes, as `Rpc` drives it: a receiver of a download, a sender of an upload."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

from .write_call import WriteCall

T_co = TypeVar("T_co", covariant=True)


class Named(Protocol):
    """What a call is about, for its span."""

    @property
    def bucket(self) -> str:
        """The bucket."""

    @property
    def key(self) -> str:
        """The key of the object."""


class Receiver(Named, Protocol):
    """A download, as `Rpc.receive` drives it; each attempt begins with a new request."""

    def request(self) -> bytes:
        """Return the serialized request for the missing bytes."""

    def accept(self, message: bytes, opened: Callable[[bytes], bytes | None]) -> bytes | memoryview:
        """Return the verified payload of one message; empty if it has none.

        Args:
            message: The serialized message.
            opened: Verifies the checksum of a message that is no frame.
        """

    def finish(self) -> None:
        """Check that all bytes arrived."""


class PieceStream(Protocol):
    """Bytes of an object that come in pieces."""

    @property
    def size(self) -> int:
        """Bytes in all, once the first piece has come."""

    @property
    def received(self) -> int:
        """Bytes that have come."""

    def pieces(self) -> Generator[bytes | memoryview, None, None]:
        """Yield them in order, verified; once."""


class Sender(Named, Protocol[T_co]):
    """An upload, as `Rpc.send` drives it in one attempt."""

    @property
    def replayable(self) -> bool:
        """Whether `send` can be called again."""

    def send(self, call: WriteCall) -> T_co:
        """Send all messages through `call` and return the result in the answer."""
