"""The facts about a call that has ended, for its access line, its span, and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from actorc.tracing.spans import NO_SPAN, Span

MAX_NAME: Final = 1024
"""Characters of a name: as many as a key may have; longer texts are no names and are cut."""
_MOST_KEYS: Final = 4096
"""Characters of the keys of a batch in its line, escaped; their number tells of those behind."""


class EndedCall(NamedTuple):
    """A call that has ended, for its access line."""

    method: str
    """Name of the gRPC or HTTP method."""
    status: str
    """Name of the gRPC status, or number of the HTTP status."""
    bucket: str
    key: str
    size: int
    """Bytes of objects received or sent."""
    seconds: float
    request_id: str
    peer: str
    """Address of the peer."""
    access_key: str
    """Id of the caller's key; empty if none was proved, or on a server without keys."""
    proved: bool
    """Whether the caller was identified; True for every caller of a server without keys."""
    trace_id: str = ""
    """Id of the trace that the call belongs to; its caller may have named it, and then it is traced there, if not here.
    Empty without one."""
    span: Span = NO_SPAN
    """Its span, which has not ended."""
    route: str = ""
    """Path of an HTTP request with names in place of values; empty for others, or if it is not known."""
    keys: Sequence[str] = ()
    """The keys of a batch, in order; empty for a call about one object, which has `key`."""

    def named_keys(self) -> list[str]:
        """Return the first keys of a batch, as many as its line names."""
        named: list[str] = []
        size = 0
        for key in self.keys:
            short = key[:MAX_NAME]
            size += len(ascii(short)) + 1
            if named and size > _MOST_KEYS:
                break
            named.append(short)
        return named

    def fields(self) -> dict[str, str | int | float | list[str]]:
        """Return the fields of its access line by their names there: names are cut to the longest valid one."""
        return {
            "method": self.method,
            "status": self.status,
            "bucket": self.bucket[:MAX_NAME],
            "key": self.key[:MAX_NAME],
            "bytes": self.size,
            "ms": round(self.seconds * 1000, 1),
            "request": self.request_id,
            "peer": self.peer,
            "by": self.access_key or "-",
            **({"trace_id": self.trace_id} if self.trace_id else {}),
            **({"objects": len(self.keys), "keys": self.named_keys()} if self.keys else {}),
        }
