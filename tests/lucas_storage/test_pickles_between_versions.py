"""Drivers and workers differ in version: what one pickles, the other opens and uses.

The pickles and the data directory in ``data`` were made by the last version before modules got their present folders,
with ``pickle_cases.py keep data`` and Python 3.11. They are never made anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

pytestmark = pytest.mark.slow  # processes that open all pickles, and make them

HERE = Path(__file__).parent
PICKLES = HERE / "data" / "pickles.json"
CASES = HERE / "pickle_cases.py"
SIGNING_KEY = "a signing key for tests alone"  # of the references in the pickles
needs_its_python = pytest.mark.skipif(
    list(sys.version_info[:2]) != json.loads(PICKLES.read_text())["python"], reason="the code is of another Python"
)
NAMED = {
    "actorc.controller.calls",
    "actorc.controller.classes",
    "actorc.controller.context",
    "actorc.controller.definition",
    "actorc.controller.errors",
    "actorc.controller.executor",
    "actorc.controller.functions",
    "actorc.controller.runtime",
    "actorc.controller.signature",
    "actorc.storage._results",
    "actorc.storage._retry",
    "actorc.storage.aio",
    "actorc.storage.client",
    "actorc.storage.errors",
    "actorc.storage.models",
    "actorc.storage.server.config",
    "actorc.storage.server.process",
    "actorc.storage.server.server",
    "lucas_storage._run",
    "lucas_storage._shim",
    "lucas_storage._tracebacks",
    "lucas_storage.decorator",
    "lucas_storage.embedded.aliases",
    "lucas_storage.embedded.classes",
    "lucas_storage.embedded.errors",
    "lucas_storage.embedded.functions",
    "lucas_storage.embedded.instances",
    "lucas_storage.embedded.providers",
    "lucas_storage.embedded.rl.ppo",
    "lucas_storage.embedded.runtime.local_once_runtime",
    "lucas_storage.embedded.runtime.local_storage",
    "lucas_storage.embedded.runtime.runtime",
    "lucas_storage.embedded.serve.serve",
    "lucas_storage.embedded.serverless_function",
    "lucas_storage.embedded.train.trainer",
    "lucas_storage.embedded.workflow.context",
    "lucas_storage.embedded.workflow.dag",
    "lucas_storage.embedded.workflow.executor",
    "lucas_storage.embedded.workflow.ld",
    "lucas_storage.embedded.workflow.nodes",
    "lucas_storage.embedded.workflow.route",
    "lucas_storage.embedded.workflow.steps",
    "lucas_storage.embedded.workflow.workflow",
    "lucas_storage.errors",
    "lucas_storage.executor",
    "lucas_storage.formats",
    "lucas_storage.outputs",
    "lucas_storage.refs",
    "lucas_storage.settings",
    "lucas_storage.storage",
}
"""Modules that pickles name, for ever: those that the version before named. Whatever is added, old workers lack."""


def told_by(endpoint):
    """Return what a fresh process tells of the pickles of the version before, and of its own."""
    told = subprocess.run(
        [sys.executable, str(CASES), "use", str(PICKLES)],
        capture_output=True,
        timeout=100,
        check=False,
        env={**os.environ, "STORAGE_ENDPOINT": endpoint, "LUCAS_STORAGE_SIGNING_KEY": SIGNING_KEY},
    )

    assert told.returncode == 0, told.stderr.decode()
    return json.loads(told.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(HERE / "data" / "store.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    with local_server(f"file://{folder}/store") as server:
        return told_by(server.endpoint)


@pytest.fixture(scope="module")
def used(told):
    """What became of the pickles of the version before, over its data directory."""
    return told["used"]


def test_options_of_a_result_and_of_retries_are_those_of_today(used):
    assert used["values"] == {"out": True, "retry": True}


def test_clients_are_for_the_same_server(used):
    assert used["clients"] == {
        "client": ["StorageClient", "localhost:9"],
        "client that retries": ["StorageClient", "localhost:9"],
        "async client": ["AsyncStorageClient", "localhost:9"],
    }


@pytest.mark.parametrize("kind", ["errors", "public", "engine"])
def test_names_mean_what_they_mean_today(used, kind):
    assert used[kind] == []


def test_references_are_read_where_the_version_before_stored_them(used):
    assert used["artifacts"] == {"stored": True, "pickled": True, "inline": [1, 1], "handle": True}


def test_answers_of_a_server_hold_for_its_data_directory(used):
    assert used["answers"] == {"content": "content", "listed": ["object"], "upload": True}


@needs_its_python
def test_functions_with_storage_are_called(used):
    kept = json.loads(PICKLES.read_text())["kept"]
    made_anew = used["shims"]["kept"]
    results = {name: value for name, value in used["shims"].items() if name not in ("kept", "nested")}

    assert len(results) == 8
    assert set(map(tuple, results.values())) == {(1, 1)}
    assert used["shims"]["nested"] == [1, 0]
    # Called as ever, but what that version kept is not found: its keys covered less, and might be those of other code.
    assert (made_anew[0], made_anew == kept) == (kept[0], False)


@needs_its_python
def test_functions_of_the_actor_platform_are_called(used):
    assert used["platform"] == {"counted": 3, "doubled": 8, "class": "ActorRuntimeClass"}


@needs_its_python
def test_classes_of_users_have_the_bases_of_today(used):
    assert used["subclasses"] == {
        "ActorExecutor": ["actorc.controller.executor"],
        "ActorFunction": ["actorc.controller.functions"],
        "ActorRuntime": ["actorc.controller.runtime"],
        "Out": ["lucas_storage.outputs"],
        "Storage": ["lucas_storage.storage"],
        "StorageExecutor": ["lucas_storage.executor"],
    }


def test_pickles_made_now_name_nothing_that_the_version_before_lacks(told):
    named = told["names"]

    assert {kind: sorted(set(names) - NAMED) for kind, names in named.items() if set(names) - NAMED} == {}
    assert set().union(*named.values()) == NAMED
