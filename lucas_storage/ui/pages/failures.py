"""Pages in place of others: the store does not answer, or something is not there."""

from __future__ import annotations

from actorc.storage.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PermissionError,
    StorageError,
)
from lucas_storage.ui.elements import joined, note, problem, prose

from .page import Page, Reader


def failed(error: StorageError, endpoint: str, reader: Reader) -> Page:
    """Return the page about an error of the store; that of a store which does not answer is read again until it does.

    Args:
        error: The error.
        endpoint: Address of the store.
        reader: For whom.
    """
    words = reader.words
    if isinstance(error, NetworkError | DeadlineExceededError):
        title, advice, status = words("failure.away", endpoint=endpoint), words("failure.again"), 503
    elif isinstance(error, NotFoundError):
        title, advice, status = words("failure.missing"), words("failure.gone"), 404
    elif isinstance(error, PermissionError):
        title, advice, status = words("failure.denied"), words("failure.rights"), 403
    elif isinstance(error, InvalidParameterError):
        title, advice, status = words("failure.address"), words("failure.follow"), 400
    else:
        title, advice, status = words("failure.other"), words("failure.advice"), 502
    told = problem(prose(error.message))
    return Page(title=title, body=joined(told, note(advice)), live=status == 503, status=status)


def still_reading(reader: Reader) -> Page:
    """Return the page in place of one that takes long, such as the first one that needs an index of many runs."""
    words = reader.words
    return Page(title=words("failure.slow"), body=note(words("failure.patience")), live=True, status=503)


def unknown_page(reader: Reader) -> Page:
    """Return the page in place of one that there is not."""
    return Page(title=reader.words("failure.missing"), body=note(reader.words("failure.no_page")), status=404)


def defect(kind: str, reader: Reader) -> Page:
    """Return the page about an error that nobody expected.

    Args:
        kind: Name of the class of the exception.
        reader: For whom.
    """
    told = problem(reader.words("failure.defect", kind=kind))
    return Page(title=reader.words("failure.other"), body=told, status=500)
