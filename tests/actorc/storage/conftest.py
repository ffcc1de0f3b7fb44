"""Fixtures of the tests of storage: a state directory for each, as that of a user who stored nothing, and a server."""

from __future__ import annotations

from itertools import count

import pytest

from actorc.storage.testing import local_server


@pytest.fixture(scope="session")
def _states(tmp_path_factory):
    """Return an iterator of folders, none of which exists yet, as that of a user who never stored anything."""
    place = tmp_path_factory.mktemp("states")
    return (place / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, _states):
    monkeypatch.setenv("XDG_STATE_HOME", str(next(_states)))


@pytest.fixture(scope="module")
def server():
    """A server with its objects in memory, for the tests of a module."""
    with local_server() as running:
        yield running
