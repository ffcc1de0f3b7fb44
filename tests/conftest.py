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
