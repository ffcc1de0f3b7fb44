"""The cluster of genuine Lucas on one machine: a master, a worker and a driver, which have nothing but the server."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

LUCAS = os.environ.get("LUCAS_SRC")
HERE = Path(__file__).parent

LOST = """
from lucas import function, workflow
from lucas.workflow.executor import Executor
from lucas_storage import run

class Losing(Executor):
    def execute(self):
        return None

@function(provider="local-once")
def answer(rt):
    return 42

@workflow(executor=Losing, provider="cluster")
def lost(wf):
    return wf.call("answer", {"x": 1})

@workflow(executor=Losing, provider="cluster")
def local(wf):
    return wf.func(lambda x: None, 1)

print(run(local, {}))
run(lost, {})
"""
"""An executor that returns what that of the cluster does when the master was asked too early."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # each of four processes imports much
    pytest.mark.skipif(not LUCAS, reason="LUCAS_SRC names no checkout of genuine Lucas"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"lucas.cluster needs {name}")
        for name in ("dill", "pympler")
    ),
]


@pytest.fixture
def cluster(platform, store):
    """Start a master and a worker; return what the driver is told, and their process ids."""
    variables = {**store.variables, "PYTHONPATH": os.pathsep.join([LUCAS, str(HERE.parents[1])])}
    ports = [platform.free_port() for _ in range(2)]
    master = platform.start("python", "-m", "lucas.cluster.server", "master", "--port", ports[0], **variables)
    master.until("Master server started")
    worker = platform.start(
        *("python", "-m", "lucas.cluster.server", "worker", "--master_address", f"127.0.0.1:{ports[0]}"),
        *("--worker_host", "127.0.0.1", "--worker_port", ports[1]),
        **variables,
    )
    worker.until("added successfully")
    return f"127.0.0.1:{ports[0]}", variables, [master, worker]


def test_the_nodes_of_a_cluster_pass_references_and_objects_signed_by_each_other(platform, store, cluster):
    address, variables, nodes = cluster
    done = platform.run(sys.executable, HERE / "cluster_study.py", address, **variables)

    assert done.returncode == 0, done.stdout + done.stderr + "".join(node.said for node in nodes)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["score"] == 150_000.0
    assert set(answer["pids"]) <= {node.popen.pid for node in nodes}
    assert len(set(answer["pids"])) == 2
    said = "".join(node.said for node in nodes)
    assert [name for name, value in store.variables.items() if value in said] == []


def test_a_result_that_a_cluster_has_lost_is_an_error_and_none_of_plain_code_a_value(platform, store):
    path = os.pathsep.join([LUCAS, str(HERE.parents[1])])
    done = platform.run(sys.executable, "-c", LOST, **store.variables, PYTHONPATH=path)

    assert done.stdout.splitlines() == ["None"]
    assert "RuntimeError: the cluster has no value for the result of the workflow 'lost'" in done.stderr
