"""The contract over the blobs of Azure, if a store that has them is given."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.base import CAPABILITIES
from actorc.storage.testing.contract import EngineContract

if "LUCAS_STORAGE_TEST_AZURE" not in os.environ:
    pytest.skip("no store of Azure's blobs is given; 'make test-azure' starts one", allow_module_level=True)


class TestAzure(EngineContract):
    @classmethod
    def setup_class(cls):
        """Find out what this store is able to do, in which stores differ."""
        super().setup_class()
        given = urlsplit(os.environ["LUCAS_STORAGE_TEST_AZURE"])
        cls.place = given._replace(path=f"{given.path}/test-{uuid.uuid4().hex[:12]}")
        with closing(open_engine(cls.place.geturl())) as engine:
            cls.lacks = set(CAPABILITIES) - engine.capabilities

    def open_engine(self, directory):
        return open_engine(self.place._replace(path=f"{self.place.path}/{directory.name}").geturl())
