"""What the store or the way to it refuses, in the words of this service."""

from __future__ import annotations

import re
from typing import Final

from obstore import exceptions

from actorc.storage.errors import (
    DeadlineExceededError,
    NetworkError,
    PermissionError,
    ResourceExhaustedError,
    StorageError,
)

_STATUS: Final = re.compile(r"status code: (\d{3})")
_BROKEN: Final = ("kind: Connect", "kind: Interrupted", "kind: Request", "kind: Body", "kind: Decode", "HTTP error")
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_FULL: Final = ("QuotaExceeded", "InsufficientStorage")
_INSTANCE: Final = ("169.254.169.254", "metadata.google.internal")
"""Where credentials of a virtual machine are asked for when there are no others."""
_RETRY_AFTER: Final = 1.0
"""Seconds that a busy store is left alone."""


class Conflict(Exception):  # noqa: N818 - one branch of a conditional write, and no failure
    """The store holds another object than the write demanded, or one though there was to be none."""


def refusal(error: Exception) -> StorageError:
    """Return the error for what obstore raised; its own text, which names hosts and paths, stays in the log."""
    text = str(error)
    if any(word in text for word in _NO_BUCKET):
        return StorageError("the bucket of the store is not there; make it with the store's own tools")
    if any(word in text for word in _FULL):
        return ResourceExhaustedError("the store is full, or its quota is used up; delete something or raise the quota")
    if any(word in text for word in _INSTANCE):
        return PermissionError("there are no credentials for the store; put them into the environment of the server")
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return _denied()
    if "kind: Timeout" in text:
        return DeadlineExceededError("the store did not answer in time; try again")
    status = _STATUS.search(text)
    return _of_status(int(status[1])) if status else _of_nothing(text)


def is_unreachable(error: StorageError) -> bool:
    """Return whether the store as a whole may be out of reach."""
    return isinstance(error, NetworkError)


def _of_status(status: int) -> StorageError:
    if status in {401, 403}:
        return _denied()
    if status in {429, 503}:
        return ResourceExhaustedError("the store is busy; try again in a moment", retry_after=_RETRY_AFTER)
    if status == 507:
        return ResourceExhaustedError("the store is full; delete something")
    if status >= 500:
        return StorageError(f"the store failed with status {status}; try again", retryable=True)
    return StorageError(f"the store refused a request with status {status}; the log of this server says more")


def _of_nothing(text: str) -> StorageError:
    if any(word in text for word in _BROKEN):
        return NetworkError("the store cannot be reached, or the connection to it broke; try again")
    return StorageError("the store refused a request; the log of this server says more")


def _denied() -> PermissionError:
    return PermissionError("the store refused this server; look at the server's credentials and their policy there")
