"""What every test has: an environment without the settings of whoever runs it, and a size."""

from __future__ import annotations

import os
import socket

import hypothesis
import pytest

for _name in [name for name in os.environ if name.startswith(("STORAGE_", "LUCAS_STORAGE_"))]:
    del os.environ[_name]


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="run all tests, each at its full size")


def pytest_configure(config):
    hypothesis.settings.register_profile("thorough", max_examples=100)
    hypothesis.settings.register_profile("quick", max_examples=25)
    hypothesis.settings.load_profile("thorough" if config.getoption("--thorough") else "quick")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def thorough(request):
    """Whether a test whose size can be chosen takes the full one."""
    return request.config.getoption("--thorough")


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
