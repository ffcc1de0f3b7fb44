from __future__ import annotations

from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing.contract import EngineContract


class TestMemory(EngineContract):
    """All faces are met over this engine, which waits for nothing; a pure rule through one of them, too."""

    lacks = ("retention",)
    rule_faces = ("store", "client")

    def open_engine(self, directory):
        return MemoryEngine()
