from __future__ import annotations

import pytest

from actorc.storage.server.engines import open_engine
from actorc.storage.testing.contract import EngineContract

pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")

LACKS = (
    "answers",
    "any-key",
    "constant-copy",
    "delete-if-match",
    "long-metadata",
    "retention",
    "snapshots",
    "ttl",
    "verified-ranges",
)


class TestRemote(EngineContract):
    lacks = LACKS
    faces = ("store", "client")

    def open_engine(self, directory):
        return open_engine("remote+memory://")


@pytest.mark.thorough
class TestRemoteThroughTheAsynchronousClient(TestRemote):
    """The quick tests meet it over memory."""

    faces = ("async",)
    rule_faces = ()
