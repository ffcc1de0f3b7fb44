"""Objects that are replaced while they are read, in a store that keeps no former generations."""

from __future__ import annotations

from typing import Final

from actorc.storage._rpc.payload import Progress
from actorc.storage.errors import ObjectNotFoundError

BEGINNINGS: Final = 3
"""How often a download begins that hands nothing over before its end."""


def replaced(gone: ObjectNotFoundError) -> ObjectNotFoundError:
    """Return the error for an object that was there, and is another one, or gone, before all of it was read."""
    message = (
        "the object was replaced or deleted while it was read, and the store keeps no former generation; read it again"
    )
    return ObjectNotFoundError(message, gone.bucket, gone.key, request_id=gone.request_id)


def never_less(progress: Progress) -> Progress:
    """Return a progress whose numbers do not decrease where a download begins anew."""
    most = 0

    def report(done: int, total: int | None) -> None:
        nonlocal most
        most = max(most, done)
        progress(most, None if total is None else max(most, total))  # the later object may be the smaller one

    return report
