"""Message checksums on the client: seals the requests of one attempt and verifies its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from actorc.storage._wire.call_headers import ATTEMPT_KEY, OF_FAILURES, TRAILERS_KEY
from actorc.storage._wire.call_signing import Metadata
from actorc.storage._wire.message_checksum import ANSWER, HEADER, REQUEST, STATUS, YES, Checks
from actorc.storage._wire.request_ids import REQUEST_ID_KEY
from actorc.storage.errors import StorageError

from . import call_errors
from .retries.attempts import Attempt
from .transport import CallFailedError

_ANNOUNCEMENT: Final = (HEADER, YES)
_FEW_TRAILERS: Final = (TRAILERS_KEY, OF_FAILURES)


class Peer:
    """A server's capabilities as learned from its answers. Threads share it without a lock: fields only turn true.

    Args:
        address: The server's name in errors.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        # not guarded by a lock: a thread that still reads False asks the answer's metadata once more
        self.seals = False
        """Whether it ever announced checksums of messages; from then on an answer without one is refused."""


class Exchange:
    """Seals requests, and opens answers if the server seals. One object for each attempt.

    A context manager that turns failed calls inside into the errors of `actorc.storage.errors`, the original chained.

    Args:
        method: Full name of the method.
        attempt: The attempt.
        peer: The server that it goes to.
    """

    def __init__(self, method: str, attempt: Attempt, peer: Peer) -> None:
        number = str(attempt.number)
        named: Metadata = ((REQUEST_ID_KEY, attempt.request_id), (ATTEMPT_KEY, number), _ANNOUNCEMENT)
        self.metadata = (*named, _FEW_TRAILERS) if peer.seals else named
        """Metadata of the attempt, the announcement that its messages are sealed, and which trailers are wanted."""
        self._checks = Checks(method, attempt.request_id, number)
        self._peer = peer

    def seal(self, request: bytes) -> bytes:
        """Return a serialized request with its checksum."""
        return self._checks.seal(request, REQUEST)

    def open(self, answer: bytes | None, announced: Callable[[], Any]) -> bytes | None:
        """Return a serialized answer without its checksum, verified if the server seals.

        Args:
            answer: The answer; None if there is none, which is returned for the caller to judge.
            announced: Returns the metadata in which the server may announce that it seals.

        Raises:
            DamagedMessageError: The checksum is wrong or missing.
        """
        return self._checks.open(answer, ANSWER) if self._seals(announced) and answer is not None else answer

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, CallFailedError):
            raise self._failure(error) from error

    def _failure(self, error: CallFailedError) -> StorageError:
        def opened(details: bytes) -> bytes:
            return self._checks.open(details, STATUS) if self._seals(lambda: error.metadata) else details

        return call_errors.error_from_call(error, self._peer.address, opened)

    def _seals(self, announced: Callable[[], Any]) -> bool:
        if not self._peer.seals:
            # believed from the first announcement on: otherwise a damaged header would turn the checks off again
            said: Mapping[str, Any] = dict(announced() or ())
            self._peer.seals = said.get(HEADER) == YES
        return self._peer.seals
