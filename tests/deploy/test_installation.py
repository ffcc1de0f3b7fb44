"""What `docs/deploying.md` installs without an index is whole: in a worker's image, and in a venv of ignis."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import cloudpickle
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.messages import Value
from lucas_storage import Storage, storage_context, with_storage

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy"
IGNIS = os.environ.get("IGNIS_SRC")
PATIENCE_MS = 60_000

pytestmark = pytest.mark.thorough


def run(*command, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONPATH")}
    done = subprocess.run(
        [str(part) for part in command],
        env={**environment, "PYTHON": sys.executable, **variables},
        cwd="/",  # what is imported is what was installed, not this checkout
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder that the scripts fill; it takes an index."""
    folder = tmp_path_factory.mktemp("context") / "wheels"
    run("sh", EXAMPLE / "wheels.sh", folder, "numpy")
    if IGNIS:
        run("sh", EXAMPLE / "actorc.sh", folder, IGNIS)
    return folder


@pytest.fixture
def venv(tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    return tmp_path / "venv" / "bin" / "python"


def test_the_dockerfile_of_a_worker_installs_what_a_function_needs_without_an_index(wheels, venv):
    text = (EXAMPLE / "Dockerfile").read_text().replace("\\\n", " ")
    command = re.search(r"^RUN --mount=\S+ +(.*)", text, re.MULTILINE)[1]
    here = {"python ": f"{venv} ", "/wheels": str(wheels), "${EXTRAS}": "[numpy]"}
    for place, ours in here.items():
        command = command.replace(place, ours)

    run("sh", "-c", command, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    said = run(venv, "-c", "import lucas_storage, actorc.storage, numpy; print(lucas_storage.__file__)")

    assert str(venv.parent.parent) in said
    assert "No broken requirements found." in run(venv, "-m", "pip", "check")
    assert "Usage: lucas-storage" in run(venv.parent / "lucas-storage", "--help")


@with_storage
def doubled(values: list) -> bytes:
    import numpy as np

    return (2 * np.array(values)).tobytes() * 10_000


@pytest.mark.skipif(not IGNIS, reason="IGNIS_SRC names no checkout of ignis")
def test_a_venv_of_ignis_installs_both_packages_and_runs_functions_with_storage(wheels, venv, store, tmp_path):
    """What ignis's manager of venvs does, one command after the other, in the environment of its image."""
    zmq = pytest.importorskip("zmq")
    settings = dict(re.findall(r"(PIP_\w+)=(\S+)", (EXAMPLE / "Dockerfile.ignis").read_text()))
    settings["PIP_FIND_LINKS"] = settings["PIP_FIND_LINKS"].replace("/opt/wheels", str(wheels))
    for requirement in ("actorc", "lucas-storage[numpy]"):
        run(venv, "-m", "pip", "install", requirement, **settings)
    template = Path(IGNIS) / "ignis-go" / "transport" / "ipc" / "executor_template.py"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
        command = [venv, template, "--remote", address, "--venv", "weather"]
        with subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **store.variables, "LUCAS_STORAGE_CACHE": str(tmp_path)}
        ) as worker:
            watchdog = threading.Timer(PATIENCE_MS / 1000, worker.kill)
            watchdog.start()
            try:
                answer = answered(socket, doubled, values=[1, 2])
            finally:
                watchdog.cancel()
                worker.kill()

    with storage_context(endpoint=store.endpoint, access_key=store.steps.access, secret_key=store.steps.secret):
        assert Storage().get(answer) == b"".join(n.to_bytes(8, "little") for n in (2, 4)) * 10_000


def answered(socket, function, **arguments):
    """Give a worker that gets ready a function, and return what its call answers."""

    def said():
        assert socket.poll(PATIENCE_MS), "the worker says nothing"
        peer, frame = socket.recv_multipart()
        return peer, messages.from_worker(frame).message

    peer, first = said()
    assert first.type == pb.D_READY
    pickled, name = cloudpickle.dumps(function), function.__name__
    values = {key: Value(f"obj.{key}", pb.LANGUAGE_PYTHON, cloudpickle.dumps(each)) for key, each in arguments.items()}
    for parts in (
        messages.add_handler("weather", name, pickled, pb.LANGUAGE_PYTHON),
        messages.execute("weather", "1", name, values),
    ):
        socket.send_multipart([peer, b"".join(parts)])
    returned = said()[1].returned
    assert returned.WhichOneof("result") == "value", returned.error
    return cloudpickle.loads(returned.value.data)
