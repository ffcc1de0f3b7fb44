from __future__ import annotations

import pytest

from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.testing.contract import EngineContract


class TestLocal(EngineContract):
    faces = ("store", "client")

    def open_engine(self, directory):
        return LocalEngine(directory)


@pytest.mark.thorough
class TestLocalThroughTheAsynchronousClient(TestLocal):
    """The quick tests meet it over memory."""

    faces = ("async",)
    rule_faces = ()
