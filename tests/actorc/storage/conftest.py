"""A state directory for each test, so that none resumes from the journals of another."""

from __future__ import annotations

from itertools import count

import pytest


@pytest.fixture(scope="session")
def _states(tmp_path_factory):
    """Return an iterator of folders, none of which exists yet, as that of a user who never stored anything."""
    place = tmp_path_factory.mktemp("states")
    return (place / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, _states):
    monkeypatch.setenv("XDG_STATE_HOME", str(next(_states)))
