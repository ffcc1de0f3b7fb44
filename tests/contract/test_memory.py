from __future__ import annotations

import pytest

from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing.contract import EngineContract


class TestMemory(EngineContract):
    """The asynchronous client, which is the blocking one on threads, is met here; a pure rule through it, too."""

    lacks = ("retention",)
    faces = rule_faces = ("store", "async")

    def open_engine(self, directory):
        return MemoryEngine()


@pytest.mark.thorough
class TestMemoryThroughTheBlockingClient(TestMemory):
    """The quick tests meet it over the other engines."""

    faces = ("client", "unix")
    rule_faces = ()
