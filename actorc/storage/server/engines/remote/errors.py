"""Translation of obstore's errors into those of this service."""

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
_INSTANCE_HOSTS: Final = ("169.254.169.254", "metadata.google.internal")
"""Hosts that are asked for the credentials of a virtual machine if there are no others."""
_RETRY_AFTER: Final = 1.0
"""Seconds for which callers leave a busy store alone."""


class Conflict(Exception):  # noqa: N818 - one branch of a conditional write, and no failure
    """The store has another object than the write demands, or one where there must be none."""


def refusal(error: Exception) -> StorageError:
    """Return the error for an exception of obstore, whose own text, with hosts and paths, goes to the log only."""
    text = str(error)
    if any(word in text for word in _NO_BUCKET):
        return StorageError("the bucket of the store is not there; make it with the store's own tools")
    if any(word in text for word in _FULL):
        return ResourceExhaustedError("the store is full, or its quota is used up; delete something or raise the quota")
    if any(word in text for word in _INSTANCE_HOSTS):
        return PermissionError("there are no credentials for the store; put them into the environment of the server")
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return _denied()
    if "kind: Timeout" in text:
        return DeadlineExceededError("the store did not answer in time; try again")
    status = _STATUS.search(text)
    return _error_of_status(int(status[1])) if status else _error_without_status(text)


def is_unreachable(error: StorageError) -> bool:
    """Return whether the whole store may be unreachable."""
    return isinstance(error, NetworkError)


def _error_of_status(status: int) -> StorageError:
    if status in {401, 403}:
        return _denied()
    if status in {429, 503}:
        return ResourceExhaustedError("the store is busy; try again in a moment", retry_after=_RETRY_AFTER)
    if status == 507:
        return ResourceExhaustedError("the store is full; delete something")
    if status >= 500:
        return StorageError(f"the store failed with status {status}; try again", retryable=True)
    return StorageError(f"the store refused a request with status {status}; the log of this server says more")


def _error_without_status(text: str) -> StorageError:
    if any(word in text for word in _BROKEN):
        return NetworkError("the store cannot be reached, or the connection to it broke; try again")
    return StorageError("the store refused a request; the log of this server says more")


def _denied() -> PermissionError:
    return PermissionError("the store refused this server; look at the server's credentials and their policy there")
