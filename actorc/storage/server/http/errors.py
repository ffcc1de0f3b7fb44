"""Errors as HTTP responses: a status, and a short JSON text for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import responses
from typing import Final

from actorc.storage.errors import StorageError

_STATUS: Final = {
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 403,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 408,
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 416,
    "ALREADY_EXISTS": 412,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 503,
    "UNIMPLEMENTED": 501,
}
_BUSY: Final = 503
_MAX_MESSAGE: Final = 1024


class Refusal(Exception):  # noqa: N818 - 304 is one, and no error
    """A request that is answered without success.

    Args:
        status: HTTP status.
        code: Short CamelCase name of the kind of failure.
        message: What happened, and what to do next.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: StorageError) -> Refusal:
        """Return the answer for an error. Names are left out, since the client may not be allowed to know them."""
        status = _STATUS.get(error.status, 500)
        headers = {"Retry-After": str(max(1, round(error.retry_after or 1)))} if status == _BUSY else {}
        return cls(status, error.code, error.message[:_MAX_MESSAGE], headers)

    def body(self, request_id: str) -> bytes:
        """Return the body, in JSON."""
        record = {"code": self.code, "message": self.message, "request_id": request_id}
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"

    def problem(self, request_id: str) -> bytes:
        """Return the body of a failure of the API, as RFC 9457 has it, with the fields of `body` beside."""
        record = {
            "type": "about:blank",
            "title": responses.get(self.status, self.code),
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "message": self.message,
            "request_id": request_id,
        }
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
