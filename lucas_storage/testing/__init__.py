"""For tests of workflows: `call` calls one step, `replayed` one of a past run.

The fixtures of the pytest plugin stand in ``docs/testing.md``.
"""

from __future__ import annotations

from .replays import replayed
from .step_calls import call, call_for_refs

__all__ = ["call", "call_for_refs", "replayed"]
