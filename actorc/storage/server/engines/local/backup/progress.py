"""The progress of a backup or a restore, which its threads add to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

OnProgress: TypeAlias = "Callable[[int, int | None], None]"
"""Called with the bytes done so far and the total; the numbers only grow."""


class Progress:
    """Bytes that are done. Any thread may add to them.

    Args:
        total: All bytes.
        on_progress: Called with each change, one call at a time.
        renew: Called as well, before.
    """

    def __init__(self, total: int, on_progress: OnProgress | None, renew: Callable[[], None] | None = None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._renew = renew
        self._done = 0
        self._guard = threading.Lock()  # guards the number, and keeps the calls apart

    def add(self, size: int) -> None:
        """Add bytes that are done."""
        with self._guard:
            self._done += size
            if self._renew is not None:
                self._renew()
            if self._on_progress is not None:
                self._on_progress(self._done, self._total)
