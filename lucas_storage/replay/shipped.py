"""The function of a step as it was shipped: the signed pickle that its record names."""

from __future__ import annotations

from typing import Any

from lucas_storage.errors import ArtifactNotFoundError, FunctionLoadError, UnsafeFormatError
from lucas_storage.records.past_run import PastStep
from lucas_storage.shipping.shim import Shim
from lucas_storage.storage import Storage

_TODAY = "replay it with its function as it is today (--today)"


def as_shipped(storage: Storage, step: PastStep) -> Shim:
    """Return the decorated function of a step, as it was.

    Raises:
        FunctionLoadError: The record has none, it is gone, its signature was not made with a key of this process, or
            it cannot be loaded here; says what to do.
    """
    if step.shipped is None:
        raise _unavailable(
            step,
            "the record has no function to run, as it is of an earlier version, or there was no signing key, or "
            "LUCAS_STORAGE_RECORD_VALUES left it out, or it could not be pickled",
        )
    try:
        found: Any = storage.get(step.shipped)
    except UnsafeFormatError as error:
        raise _unavailable(step, f"its function is a pickle that nobody vouches for here ({error.message})") from error
    except ArtifactNotFoundError as error:
        raise _unavailable(step, "its function is gone from the store") from error
    if not isinstance(found, Shim):
        raise _unavailable(step, f"the record names a {type(found).__name__} in the place of its function")
    if found.__name__ != step.function:  # a signed function of another step, which a stranger's record may name
        raise _unavailable(step, f"the record names the function {found.__name__!r:.100} in its place")
    return found


def _unavailable(step: PastStep, why: str) -> FunctionLoadError:
    return FunctionLoadError(f"{step.function!r} cannot be run as it was; {why}; {_TODAY}", function=step.function)
