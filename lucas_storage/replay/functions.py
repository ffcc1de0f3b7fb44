"""The function of a step, as it was shipped or as it is today."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucas_storage.records.past_run import PastStep
from lucas_storage.shipping.shim import Shim
from lucas_storage.storage import Storage

from .shipped import as_shipped
from .today import as_today


@contextmanager
def function_of(storage: Storage, step: PastStep, *, today: bool = False, place: str | None = None) -> Iterator[Shim]:
    """Yield the decorated function of a step, to be called within the body.

    Args:
        storage: Holds what the record names.
        step: The step.
        today: Whether it is the function as its file or module has it today.
        place: The file or module, as `as_today` takes it; implies `today`.

    Raises:
        FunctionLoadError: It cannot be had; says why, and what to do.
    """
    if today or place is not None:
        with as_today(storage, step, place) as found:
            yield found
        return
    before = list(sys.path)
    # Modules that it imports when it is called are looked for here, as by 'python -m'.
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield as_shipped(storage, step)
    finally:
        sys.path[:] = before
