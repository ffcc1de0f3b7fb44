"""The pytest plugin: fixtures for tests of code that uses storage, and of Lucas workflows.

pytest imports it in every project of an environment that has this distribution. So it stands beside the packages, whose
imports have effects of their own, and imports none of them before a fixture is requested.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import _actorc_precedence

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from actorc.storage.testing import FaultyServer, LocalServer
    from lucas_storage import Storage


SHIPPED_TESTS = "actorc.storage.testing.contract."


class PlainFinder:
    """Finds the modules of both packages as Python does, before pytest's finder, which rewrites their assertions.

    Since the plugin is of their distribution, pytest takes them for a part of it. To compile them anew takes seconds.
    The tests that are shipped are left to it: an assertion of theirs that fails shows its values.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of ours, or None."""
        is_plain = name.partition(".")[0] in {"actorc", "lucas_storage"} and not name.startswith(SHIPPED_TESTS)
        return PathFinder.find_spec(name, path) if is_plain else None


class LucasFinder:
    """Finds the embedded engine where `lucas` is imported and nothing of that name is installed."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of a package that makes the engine importable as `lucas`; None for any other name."""
        if name != "lucas":
            return None
        from lucas_storage.embedded.aliases import IMPORTABLE  # noqa: PLC0415  # the plugin imports only what is used

        return PathFinder.find_spec(name, [str(IMPORTABLE)])


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Let tests, and all modules that they and conftest.py import, write ``from lucas import …`` without Lucas."""
    sys.meta_path.insert(0, PlainFinder)
    # Before it, since pytest's finder has taken the first place, and finds whichever `actorc` comes first on the path.
    _actorc_precedence.install()
    # At the end, so that genuine Lucas is found first, and another project of that name is left alone.
    sys.meta_path.append(LucasFinder)


def pytest_unconfigure() -> None:
    """Undo `pytest_load_initial_conftests`."""
    for finder in (PlainFinder, LucasFinder):
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


@pytest.fixture(scope="session")
def _storage_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """Yield new directories without end; all are removed at the end of the session, whatever becomes of the others."""
    root = tmp_path_factory.mktemp("storage")
    yield (root / str(number) for number in count())
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def storage_server(_storage_directories: Iterator[Path]) -> Iterator[LocalServer]:
    """A storage server in this process, durable, with its data in a temporary directory; one for all tests."""
    import lucas_storage  # noqa: F401, PLC0415  # first, so that `actorc` is the right one
    from actorc.storage.testing import local_server  # noqa: PLC0415  # the plugin imports only what is used

    with local_server(next(_storage_directories).as_uri()) as server:
        yield server


@pytest.fixture
def _storage_environment(request: pytest.FixtureRequest, _storage_directories: Iterator[Path]) -> Iterator[None]:
    """An environment in which clients, `Storage`, `run`, steps and commands find the server of the test."""
    is_faulty = "storage_faults" in request.fixturenames
    server: LocalServer | FaultyServer = request.getfixturevalue("_faulty_server" if is_faulty else "storage_server")
    directory = next(_storage_directories)
    from lucas_storage.testing.environment import variables  # noqa: PLC0415  # the plugin imports only what is used

    # Of its own, since a test may undo the changes of the fixture `monkeypatch`.
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables(server, directory, bucket=f"test-{secrets.token_hex(8)}").items():
            if value is None:
                environment.delenv(name)
            else:
                environment.setenv(name, value)
        yield
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def _faulty_server(_storage_directories: Iterator[Path]) -> Iterator[FaultyServer]:
    """A server of the test's own: no fault reaches another test, whatever becomes of this one."""
    import lucas_storage  # noqa: F401, PLC0415  # first, so that `actorc` is the right one
    from actorc.storage.testing import faulty_server  # noqa: PLC0415  # the plugin imports only what is used

    directory = next(_storage_directories)
    with faulty_server(directory) as server:
        yield server
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def storage_faults(_storage_environment: None, _faulty_server: FaultyServer) -> FaultyServer:
    """Faults of the server that this test and its fixtures use, which is one of its own; they end with the test."""
    if os.environ.get("STORAGE_ENDPOINT") != _faulty_server.endpoint:
        pytest.fail("storage_faults came after the server of this test was chosen; make it a parameter of the test")
    return _faulty_server


@pytest.fixture
def storage(_storage_environment: None, request: pytest.FixtureRequest) -> Iterator[Storage]:
    """A `Storage` with an empty bucket, ``storage.bucket``, in an environment where all code finds the same ones.

    At the end all buckets go that were made since the fixture began.
    """
    from lucas_storage import Storage  # noqa: PLC0415  # the plugin imports only what is used

    if "storage_faults" in request.fixturenames:  # that server ends with the test, and may be out of order then
        with Storage() as handle:
            handle.create_bucket(handle.bucket)
            yield handle
        return
    server: LocalServer = request.getfixturevalue("storage_server")
    # A client of its own, since the test may close `handle`.
    with server.client() as cleaner, Storage() as handle:
        kept = {found["name"] for found in cleaner.list_buckets()}
        handle.create_bucket(handle.bucket)
        yield handle
        # Not that bucket alone: the server makes any that a test writes to, and the next test must not find it.
        for found in cleaner.list_buckets():
            if found["name"] not in kept:
                cleaner.delete_bucket(found["name"], force=True)


@pytest.fixture
def run_workflow(storage: Storage, request: pytest.FixtureRequest) -> Callable[..., Any]:  # noqa: ARG001  # for its environment
    """`lucas_storage.run`, in the environment of the fixture ``storage``."""
    from lucas_storage.testing.workflow_runs import runner  # noqa: PLC0415  # the plugin imports only what is used

    module = request.node.getparent(pytest.Module)  # none of a doctest
    return runner(module.obj.__name__ if module else "")
