"""What a face of the server offers to one call: its peer, its metadata, its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NoReturn, Protocol

from actorc.storage._wire.status_codes import StatusCode

Trailers = tuple[tuple[str, str | bytes], ...]
"""Metadata behind the last answer: pairs of name and value."""


class PeerGoneError(Exception):
    """The client ended the call or is gone, or the call was ended here on another thread."""


class Progress(Protocol):
    """The timeout of a call that must make progress."""

    def progress(self) -> None:
        """Restart the timeout; also ends a pause."""

    def pause(self) -> None:
        """Stop the timeout until the next `progress`, because the call does not wait for its peer."""


class CallContext(Protocol):
    """One call as its face sees it. For the thread of the call, `end` aside."""

    def peer(self) -> str:
        """Return the address of the client, for the access log."""

    def is_active(self) -> bool:
        """Return whether the client still waits for an answer."""

    def set_trailers(self, trailers: Trailers) -> None:
        """Set the metadata that a successful call ends with."""

    def announce(self, metadata: Trailers) -> None:
        """Send metadata before the first answer."""

    @property
    def passes_files(self) -> bool:
        """Whether descriptors of files can go with messages."""

    def received_file(self) -> int | None:
        """Return the descriptor that came with the last message; None if none did. The caller owns it from now on."""

    def pass_files(self, descriptors: Sequence[int]) -> None:
        """Send duplicates of these descriptors, made now, with the next answer."""

    def limited(self, seconds: float, on_idle: Callable[[], None]) -> AbstractContextManager[Progress]:
        """Call `on_idle` if the peer makes no progress for `seconds` within the block, then end the wait for it."""

    def abort(self, code: StatusCode, message: str, trailers: Trailers) -> NoReturn:
        """End the call with a status."""

    def end(self, code: StatusCode, message: str) -> None:
        """End the call with a status, on any thread, even while its own thread waits for the peer."""
