"""Fixtures of the tests of records."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def environment(settings):
    """Return the environment of another process with the settings of this test, and with more variables."""

    def of(**more):
        return {
            **os.environ,
            "STORAGE_ENDPOINT": settings["endpoint"],
            "LUCAS_STORAGE_BUCKET": settings["bucket"],
            "LUCAS_STORAGE_CACHE": str(settings["cache_dir"]),
            "LUCAS_STORAGE_SIGNING_KEY": settings["signing_key"],
            **more,
        }

    return of
