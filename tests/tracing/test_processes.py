"""One trace over processes: a script, its workers, the processes of their timed steps, and the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from actorc.storage import StorageClient

from .collector import Collector

pytestmark = pytest.mark.slow

PROGRAM = str(Path(sys.executable).with_name("lucas-storage"))
OPTIONS = ["--workers", "2", "--http", "off"]
SERVICE = "ignis.storage.v1.StorageService/"
PATIENCE = 100

SCRIPT = """
import lucas
import numpy as np

from actorc.controller import ActorExecutor, ActorFunction
from lucas_storage import run, with_storage


def remote(body):
    return lucas.function(wrapper=ActorFunction, provider="actor", venv="tests")(body)


@remote
@with_storage
def make(n):
    return np.arange(n)


@remote
@with_storage(timeout=60)
def total(x: np.ndarray):
    return int(x.sum())


@lucas.workflow(executor=ActorExecutor)
def flow(wf):
    return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]})})


if __name__ == "__main__":
    print(run(flow, {"n": 100_000}))
"""


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


def environment(**more):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STORAGE_"))}
    return {**inherited, **more}


def script(folder, text):
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def done(folder, *command, **env):
    return subprocess.run(
        command, cwd=folder, env=environment(**env), capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_steps_on_workers_and_in_processes_of_their_own_are_below_their_run(tmp_path, collector):
    ended = done(tmp_path, PROGRAM, "run", script(tmp_path, SCRIPT), **collector.environment)
    assert (ended.returncode, ended.stdout) == (0, "4999950000\n"), ended.stderr

    names = ["run flow", "call make", "step make", "call total", "step total"]
    run, call_make, make, call_total, total = collector.wait_for(*names)
    assert call_make.parent == call_total.parent == run.id
    assert (make.parent, total.parent) == (call_make.id, call_total.id)
    assert [each.service for each in (run, make, total)] == ["lucas-storage-cli", "lucas-worker", "lucas-worker"]
    assert {each.trace for each in (run, call_make, make, call_total, total)} == {run.trace}
    # by the process of the timed step, which is killed as soon as its outcome is there
    opened = collector.wait_for_child(total, SERVICE + "OpenObject")
    assert collector.wait_for_child(opened, SERVICE + "OpenObject").service == "lucas-storage"


@pytest.fixture
def served(tmp_path):
    """Return a function that serves with a command and variables; it returns the endpoint, and what ends the server."""
    started = []

    def serve(*command, **env):
        process = subprocess.Popen(
            [*command, "serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"), *OPTIONS],
            env=environment(**env),
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        for line in process.stderr:
            if " on 127.0.0.1:" in line:
                return line.split(" on ")[-1].strip(), lambda: end(process)
        raise AssertionError(process.wait())

    def end(process):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        started.remove(process)

    yield serve
    for process in [*started]:
        end(process)


INSTRUMENTED = [str(Path(sys.executable).with_name("opentelemetry-instrument")), PROGRAM]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([PROGRAM], id="its own"),
        pytest.param(INSTRUMENTED, id="opentelemetry-instrument", marks=pytest.mark.ecosystem),
    ],
)
def test_all_workers_of_a_server_are_traced_and_tell_their_spans_when_they_end(tmp_path, collector, served, command):
    endpoint, end = served(*command, **collector.environment, OTEL_SERVICE_NAME="storage-of-tests")
    with StorageClient(endpoint, local=False) as client:
        client.create_bucket("bucket")
    end()

    (span,) = collector.wait_for(SERVICE + "CreateBucket")
    assert span.service == "storage-of-tests"
    assert not span.parent


def test_an_exporter_that_is_missing_costs_a_warning_and_nothing_else(tmp_path):
    ended = done(tmp_path, PROGRAM, "run", script(tmp_path, "print(1)"), OTEL_TRACES_EXPORTER="no-such")

    assert (ended.returncode, ended.stdout) == (0, "1\n")
    assert "no exporter 'no-such'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("variables", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}])
def test_what_is_turned_off_imports_nothing(tmp_path, variables):
    text = "import sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    ended = done(tmp_path, PROGRAM, "run", script(tmp_path, text), **{"OTEL_TRACES_EXPORTER": "otlp", **variables})

    assert (ended.returncode, ended.stdout) == (0, "[]\n")


def test_a_script_may_set_up_its_own_provider(tmp_path, collector):
    text = """
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)

        from lucas_storage import with_storage

        @with_storage
        def work():
            return 1

        with trace.get_tracer("mine").start_as_current_span("mine"):
            print(work())
    """
    env = {**collector.environment, "OTEL_TRACES_EXPORTER": "none"}
    ended = done(tmp_path, sys.executable, script(tmp_path, text), **env)
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr

    mine, step = collector.wait_for("mine", "step work")
    assert step.parent == mine.id
