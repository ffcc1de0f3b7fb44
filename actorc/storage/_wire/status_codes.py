"""The status codes of calls, whichever transport they take; names and numbers are those of gRPC."""

from __future__ import annotations

from enum import IntEnum


class StatusCode(IntEnum):
    """How a call ended (gRPC, "Status codes and their use in gRPC")."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def of(cls, number: int) -> StatusCode:
        """Return the code with this number; `UNKNOWN` for a number that no code has."""
        return _CODES.get(number, cls.UNKNOWN)


_CODES = {int(code): code for code in StatusCode}
