"""Functions with storage on the platform: it carries references, and no value that is large and no secret ever."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import uuid
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

import lucas_storage
from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import LocalController
from actorc.storage.testing import local_server
from lucas_storage.cli.program import program

pytestmark = pytest.mark.slow

ROOT = Path(lucas_storage.__file__).parents[1]
CASES = Path(__file__).with_name("actor_storage_cases.py")
ENGINES = {"embedded": "", "genuine": os.environ.get("LUCAS_SRC"), "older": os.environ.get("LUCAS_OLD")}
METHOD = "/controller.Service/Session"
MiB = 1 << 20
SIGNING_KEY = "a planted signing key"


class Recorder:
    """Stands between clients and a controller, passes every message on as it is, and keeps it."""

    def __init__(self, address):
        self.sent, self.received = [], []
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options)
        self._session = self._channel.stream_stream(METHOD)
        handlers = {"Session": grpc.stream_stream_rpc_method_handler(self._pass_on)}
        self._server = grpc.server(futures.ThreadPoolExecutor(2), options=options)
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("controller.Service", handlers)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()
        self._channel.close()

    def _pass_on(self, messages, _):
        outgoing = queue.SimpleQueue()
        with futures.ThreadPoolExecutor(1) as reader, suppress(grpc.RpcError):
            reader.submit(self._read, messages, outgoing)
            for message in self._session(iter(outgoing.get, None)):
                self.received.append(message)
                yield message

    def _read(self, messages, outgoing):
        with suppress(grpc.RpcError):
            for message in messages:
                self.sent.append(message)
                outgoing.put(message)
        outgoing.put(None)


def opened(message):
    """Return the messages that are sent as one."""
    whole = pb.Message.FromString(message)
    return whole.batch or [whole]


class Seen:
    """What the cases gave on one engine, and what was between client and controller meanwhile."""

    def __init__(self, size, results, recorder, keys, growth):
        self.size = size
        self.results = results
        self.raw = recorder.sent
        self.sent = [each for message in recorder.sent for each in opened(message)]
        self.received = [each for message in recorder.received for each in opened(message)]
        self.traffic = b"".join([*recorder.sent, *recorder.received])
        self.secret_keys = [*(key["STORAGE_SECRET_KEY"] for key in keys), SIGNING_KEY]
        self.secrets = [*(key["STORAGE_ACCESS_KEY"] for key in keys), *self.secret_keys]
        self.growth = growth


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Make an access key of the store, as the environment takes it."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"

    def make(*rights):
        made = json.loads(CliRunner().invoke(program, ["keys", "add", "--json", "--keys", str(keys), *rights]).stdout)
        return {"STORAGE_ACCESS_KEY": made["access_key"], "STORAGE_SECRET_KEY": made["secret_key"]}

    make.file = keys
    return make


@contextmanager
def platform(folder, key):
    """A store with keys, and a controller whose workers have one of them that opens the artifacts alone."""
    signing_key = folder / "signing"
    signing_key.write_text(SIGNING_KEY)
    key("--admin")
    workers = {
        **key("--allow", "read,list,write,delete:lucas-artifacts"),
        "LUCAS_STORAGE_SIGNING_KEY_FILE": str(signing_key),
        "LUCAS_STORAGE_CACHE": str(folder / "workers"),
    }
    with (
        local_server(f"file://{folder / 'store'}", keys=key.file) as server,
        LocalController(env={**workers, "STORAGE_ENDPOINT": server.endpoint}) as controller,
    ):
        yield server, controller, workers


def peak(pid):
    """Return the most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@pytest.fixture(scope="module", params=ENGINES)
def seen(request, key, thorough, tmp_path_factory):
    path = ENGINES[request.param]
    if path is None:
        pytest.skip("no checkout of this Lucas is named")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "here").mkdir()
    size = (200 if thorough else 48) * MiB
    tables = ["tables"] * request.config.getoption("--ecosystem")
    here = key("--admin")
    with platform(folder, key) as (server, controller, workers), Recorder(controller.address) as recorder:
        before = peak(controller.pid)
        done = subprocess.run(
            [sys.executable, str(CASES), str(size), *tables],
            env={
                **os.environ,
                **here,
                "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)])),
                "IGNIS_ADDR": recorder.address,
                "APP_ID": f"{controller.app_id}.{uuid.uuid4().hex}",
                "STORAGE_ENDPOINT": server.endpoint,
                "LUCAS_STORAGE_CACHE": str(folder / "client"),
                "LUCAS_LOG": "5",
            },
            cwd=folder / "here",
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        growth = peak(controller.pid) - before
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["embedded"] == (request.param == "embedded")
    return Seen(size, found["results"], recorder, [here, workers], growth)


@pytest.mark.ecosystem
def test_tables_arrays_and_files_go_from_step_to_step(seen):
    assert seen.results["pipeline"] == "499500"


def test_without_materialising_a_run_returns_references(seen):
    assert seen.results["refs"] == [True, "499500"]


def test_a_large_result_passes_the_controller_as_a_reference(seen):
    fetched = [message.response_object.value.data for message in seen.received]

    assert seen.results["large"] == [True, seen.size, seen.size]
    assert 0 < max(map(len, fetched)) < 64 << 10
    assert len(seen.traffic) < MiB
    assert seen.growth < 32 * MiB


def test_plain_code_sees_values_of_references(seen):
    assert seen.results["plain"] == {"added": [4, 7, 10, 13], "mapped": 30.0, "within": ["ndarray", 4]}


def test_workers_read_the_signing_key_themselves(seen):
    assert seen.results["pickled"] == [42, "Model"]


def test_who_has_no_signing_key_opens_no_pickle(seen):
    assert seen.results["unsigned here"].startswith("UnsafeFormatError, [UnsafeFormat] a pickle5@1 artifact needs a")


def test_workers_use_the_key_of_their_own_environment(seen):
    refused = seen.results["not allowed"]

    assert refused.startswith("RemoteFunctionError, 'forbidden' raised PermissionError on its worker")
    assert "does not allow 'write' here" in refused


def test_nothing_that_is_sent_holds_a_secret(seen):
    functions = {message.append_py_func.name for message in seen.sent}
    values = [message.append_arg.value.encoded.data for message in seen.sent]

    assert functions >= {"read", "train", "forbidden", "drawn"}
    assert any(b"$artifact" in value for value in values)
    assert [secret for secret in seen.secrets if secret.encode() in b"".join(seen.raw)] == []


def test_nothing_that_comes_back_holds_a_secret_key(seen):
    assert len(seen.secret_keys) == 3  # an access key may come back, as an error names it
    assert [secret for secret in seen.secret_keys if secret.encode() in seen.traffic] == []


def test_what_one_worker_cached_another_one_finds(seen):
    assert seen.results["across workers"] == [True, 1]


def test_a_worker_attempts_a_step_again_and_runs_a_timed_one_in_a_process_of_its_own(seen):
    assert seen.results["attempted"] == [True, True]


def test_a_late_step_is_killed_on_its_worker_and_the_error_says_so(seen):
    assert "StepTimeout" in seen.results["too late"]
    assert "took longer than 0.5 s, and its process was killed" in seen.results["too late"]


def test_a_store_that_is_down_is_an_error_with_the_traceback_of_the_worker(seen):
    small, large = seen.results["without a store"]
    message, _, frames = large.partition("\n\n")

    assert "$artifact" in small  # travels with the call
    assert message.startswith("RemoteFunctionError, 'big' raised NetworkError on its worker, [NetworkError] no storage")
    assert "store 'default' is at 127.0.0.1:1 (STORAGE_ENDPOINT)" in message
    assert frames.startswith("Traceback (most recent call last):\n")
