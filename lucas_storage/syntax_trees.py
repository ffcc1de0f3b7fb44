"""The lock of everything here that parses Python text."""

from __future__ import annotations

from typing import Final

from actorc.fork_hooks import ForkSafeLock

ONE_AT_A_TIME: Final = ForkSafeLock()
"""Held while `ast` parses. CPython counts how deep it is in a tree once for all threads, until 3.11.8, so two that
parse at the same time may both fail with `SystemError` (python/cpython#106905); arrays are loaded by many threads,
and their headers are Python text."""
