"""Providers: a platform of one's own on both engines; genuine Lucas's knative worker and cluster where they are."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

import lucas_storage
from lucas_storage import ArtifactRef

pytestmark = pytest.mark.slow  # a process that runs every workflow for each engine

HERE = Path(__file__).parent
ROOT = Path(lucas_storage.__file__).parents[1]
LUCAS_SRC = os.environ.get("LUCAS_SRC")
HALF = 25_000 * 8


def environment(storage_server, folder, *path):
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*path, str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "LUCAS_LOG": "5",
        "STORAGE_ENDPOINT": storage_server.endpoint,
        "LUCAS_STORAGE_CACHE": str(folder / "cache"),
        "LUCAS_STORAGE_SIGNING_KEY": "a signing key for tests alone",
    }


def said_by(storage_server, folder, script, *arguments, path=(), timeout=60):
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env=environment(storage_server, folder, *path),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def need_genuine(*modules):
    if not LUCAS_SRC:
        pytest.skip("LUCAS_SRC names no checkout of genuine Lucas")
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"genuine Lucas needs {', '.join(missing)} for this provider")


@pytest.fixture(scope="module", params=["embedded", "genuine"])
def custom(request, storage_server, tmp_path_factory):
    path = ()
    if request.param == "genuine":
        need_genuine()
        path = (LUCAS_SRC,)
    folder = tmp_path_factory.mktemp(request.param)
    said = said_by(
        storage_server, folder, "provider_cases.py", storage_server.endpoint, str(folder / "cache"), path=path
    )
    assert said["embedded"] == (request.param == "embedded")
    return said


@pytest.mark.parametrize("kind", ["dict", "json", "shipped"])
def test_a_platform_of_ones_own_gives_the_right_results(custom, kind):
    assert custom["results"][kind] == [HALF, [50_000, 100_000], True, True]


def test_what_is_exported_on_the_storage_executor_returns_values(custom):
    assert custom["exported"] == [50_000, 100_000] * 3


def test_only_references_cross_the_edges_of_a_platform(custom):
    assert custom["largest"] < 1_000


@pytest.fixture(scope="module")
def knative(storage_server, tmp_path_factory):
    need_genuine("flask", "redis", "requests")
    return said_by(storage_server, tmp_path_factory.mktemp("knative"), "knative_cases.py", path=(LUCAS_SRC,))


@pytest.mark.parametrize(("name", "form"), [("bytes", "bytes@1"), ("array", "npy@1")])
def test_what_is_no_json_leaves_a_knative_worker_as_a_reference(knative, name, form):
    status, body = knative[name]

    assert (status, body["status"]) == (200, "ok")
    assert ArtifactRef.parse(body["data"]).format == form


@pytest.mark.parametrize("name", ["passed on", "as text"])
def test_a_reference_enters_a_knative_worker_as_its_value(knative, name):
    assert knative[name] == [200, {"status": "ok", "data": 150_000}]


def test_functions_of_knative_have_storage_that_lists_and_finds(knative):
    assert knative["remembered"] == [200, {"status": "ok", "data": [[50_000], ["k"], False]}]


def test_a_function_of_knative_calls_another_and_gets_a_value(knative):
    assert knative["called"] == [200, {"status": "ok", "data": 100_000}]


def test_a_function_of_knative_sends_a_value_in_a_message(knative):
    assert knative["told"] == [200, {"status": "ok", "data": "told"}]


def test_a_workflow_of_knative_answers_every_request_with_its_own_result(knative):
    assert [body["data"] for _, body in knative["workflow"]] == [50_000, 250_000]


@pytest.fixture
def master(storage_server, tmp_path):
    """The address of a master of genuine Lucas's cluster, which runs functions in its own process."""
    need_genuine("pympler", "dill")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "lucas.cluster.server", "master", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(storage_server, tmp_path, LUCAS_SRC),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                # a client that comes before the master listens waits for ever
                grpc.channel_ready_future(channel).result(timeout=60)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def test_an_argument_beyond_the_message_limit_of_a_cluster_passes_as_a_reference(storage_server, master, tmp_path):
    said = said_by(storage_server, tmp_path, "cluster_cases.py", master, "101", path=(LUCAS_SRC,))

    assert said == {"sizes": [10, 70_000_000], "elsewhere": True}
