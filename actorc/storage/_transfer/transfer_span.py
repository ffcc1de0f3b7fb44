"""The span of a transfer that takes several calls, which are below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from actorc.storage.errors import StorageError
from actorc.tracing import spans


@contextmanager
def transferring(what: Literal["upload", "download"], bucket: str, key: str) -> Iterator[None]:
    """Make the block a span; threads that copy its context are within it."""
    if not spans.is_on():
        yield
        return
    span = spans.started(what, attributes={"lucas.bucket": bucket, "lucas.key": key})
    try:
        with span.active():
            yield
    except BaseException as error:
        # only the text of an error of ours: another one is the caller's own, such as one of its source
        span.end(type(error).__name__, error.message if isinstance(error, StorageError) else "")
        raise
    span.end()
