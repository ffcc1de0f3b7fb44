"""The contract over the real S3 store that is given, if one is."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.base import CAPABILITIES
from actorc.storage.testing.contract import EngineContract

if "LUCAS_STORAGE_TEST_S3" not in os.environ:
    pytest.skip(
        "no real S3 store is given; 'make test-remote' starts one and runs what needs it", allow_module_level=True
    )


class TestCeph(EngineContract):
    @classmethod
    def setup_class(cls):
        """Find out what this store is able to do, in which stores differ."""
        super().setup_class()
        with closing(open_engine(os.environ["LUCAS_STORAGE_TEST_S3"])) as engine:
            cls.lacks = set(CAPABILITIES) - engine.capabilities

    @pytest.fixture(autouse=True)
    def _place(self, real_store):
        type(self).place = real_store

    def open_engine(self, directory):
        return open_engine(self.place._replace(path=f"{self.place.path}/{directory.name}").geturl())
