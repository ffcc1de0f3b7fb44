"""A durable server, and the file system over it, for the libraries that read and write through fsspec."""

from __future__ import annotations

from pathlib import Path

import pytest

from actorc.storage.testing import local_server

WEATHER = Path(__file__).parents[2] / "examples" / "data" / "seattle-weather.csv"


@pytest.fixture(scope="session", params=["unix", "grpc"])
def served(request, tmp_path_factory):
    """A server that programs find by themselves, over each transport."""
    with local_server(f"file://{tmp_path_factory.mktemp('data')}") as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_ENDPOINT", server.endpoint)
        patch.setenv("STORAGE_LOCAL", "1" if request.param == "unix" else "0")
        yield server


@pytest.fixture
def fs(served):
    """The file system, with an empty bucket of the name ``data``."""
    fsspec = pytest.importorskip("fsspec")
    made = fsspec.filesystem("lucas")
    if made.exists("data"):
        made.rm("data", recursive=True)
    made.mkdir("data")
    return made


@pytest.fixture
def weather(fs):
    """A table as a real file, in the store and as a frame of pandas."""
    pandas = pytest.importorskip("pandas")
    fs.put_file(WEATHER, "data/weather.csv")
    return pandas.read_csv(WEATHER)
