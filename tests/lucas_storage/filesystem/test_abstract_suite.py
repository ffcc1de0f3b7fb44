"""The file system passes the tests that `fsspec` has for every file system."""

from __future__ import annotations

import posixpath

import pytest

abstract = pytest.importorskip("fsspec.tests.abstract")
pytestmark = pytest.mark.slow


class _Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, transported):
        return transported

    @pytest.fixture
    def fs_path(self):
        return "bucket/folder"

    @pytest.fixture
    def fs_join(self):
        return posixpath.join

    @pytest.fixture
    def supports_empty_directories(self):
        return False


class TestCopy(abstract.AbstractCopyTests, _Fixtures):
    pass


class TestGet(abstract.AbstractGetTests, _Fixtures):
    pass


class TestPut(abstract.AbstractPutTests, _Fixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, _Fixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, _Fixtures):
    pass
