"""What every test has: an environment without the settings of whoever runs it."""

from __future__ import annotations

import os
import socket

import pytest

for _name in [name for name in os.environ if name.startswith(("STORAGE_", "LUCAS_STORAGE_"))]:
    del os.environ[_name]


@pytest.fixture
def free_port():
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory):
    """A place for journals of uploads that is no user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
