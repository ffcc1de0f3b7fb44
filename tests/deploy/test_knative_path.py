"""The whole way through knative on one machine: workers of genuine Lucas's over HTTP, a Redis, and a server with keys.

RocketMQ alone is stood in for, by the two files in ``stand_in``, which are on the path of these workers only: its
client needs a native library that no package index has, and nothing of it is used until a function calls ``rt.tell``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from lucas_storage import ArtifactRef

LUCAS = os.environ.get("LUCAS_SRC")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLE = ROOT / "examples" / "deploy"
WEATHER = ROOT / "examples" / "data" / "seattle-weather.csv"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # fifteen processes are started, each of which imports much
    pytest.mark.skipif(not LUCAS, reason="LUCAS_SRC names no checkout of genuine Lucas"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"lucas.worker needs {name}")
        for name in ("flask", "redis", "requests")
    ),
]


class Worker:
    """One worker, as the platform starts one for each function."""

    def __init__(self, platform, redis_port, command, name, **variables):
        self.port = int(variables.get("PORT") or platform.free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        given = {
            "PYTHONPATH": os.pathsep.join([LUCAS, str(HERE / "stand_in"), str(ROOT)]),
            "provider": "knative",
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis_port),
            "ROCKETMQ_NAME_SERVER_ADDRESS": "127.0.0.1",
            "FUNC_NAME": name,
            "PORT": str(self.port),
        }
        self.process = platform.start(*command, **{**given, **variables})

    def ready(self):
        self.process.until("Running on http://127.0.0.1")
        return self


def command(file):
    """Return the command of Lucas's deployment, but for the port."""
    arguments = f'--lambda_file {file} --function_name "$FUNC_NAME" --server_port "$PORT"'
    return ("sh", "-c", f"exec python -m lucas.worker {arguments}")


def command_of_the_image(folder):
    """Return the command of the Dockerfile, with what it copies in a folder of the test."""
    text = (EXAMPLE / "Dockerfile").read_text()
    shutil.copy(EXAMPLE / "report.py", folder)
    return [part.replace("/code/", f"{folder}/") for part in json.loads(re.search(r"^CMD (.*)", text, re.MULTILINE)[1])]


@pytest.fixture(scope="module")
def start(platform, redis_port):
    """Start a worker for each function of a file; return them by name once all of them listen."""

    def started(command, *names, **variables):
        workers = {name: Worker(platform, redis_port, command, name, **variables) for name in names}
        return {name: worker.ready() for name, worker in workers.items()}

    return started


def post(worker, router, **params):
    """Return the status and the body that a worker answers to the platform."""
    urls = {name: each.url for name, each in router.items()}
    body = {"id": "1", "type": "invoke", "namespace": "tests", "router": urls, "params": params}
    request = Request(worker.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


STUDY = command(HERE / "study.py")


@pytest.fixture(scope="module")
def workers(start, store):
    return start(STUDY, "study", "train", "note", "noted", "score", **store.variables)


def test_a_workflow_passes_references_between_worker_processes(workers):
    status, body = post(workers["study"], workers, n=3)

    assert (status, body["status"]) == (200, "ok"), body
    assert body["data"]["score"] == 150_000.0
    assert body["data"]["pids"] == [workers[name].process.popen.pid for name in ("train", "score")]


def test_two_workers_of_a_workflow_answer_at_once_and_each_request_gets_its_own_result(workers, start, store):
    """One worker of a workflow takes one request after the other, see ``containerConcurrency`` in the document."""
    both = [workers["study"], *start(STUDY, "study", **store.variables).values()]

    def scores(worker, first):
        return [post(worker, workers, n=n)[1]["data"]["score"] for n in range(first, first + 3)]

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(scores, both, (20, 30)))

    assert answers == [[50_000.0 * n for n in range(first, first + 3)] for first in (20, 30)]


def test_what_a_plain_function_puts_into_redis_is_a_reference(workers, redis_port):
    import redis

    assert post(workers["study"], workers, n=11)[0] == 200
    with redis.Redis(port=redis_port) as client:
        kept = client.get("model-11")

    assert len(kept) < 1000
    assert {name: ArtifactRef.parse(ref).format for name, ref in pickle.loads(kept).items()} == {
        "model": "pickle5@2",
        "x": "npy@1",
    }


def test_the_logs_of_workers_hold_neither_keys_nor_values(workers, store):
    assert post(workers["study"], workers, n=3)[0] == 200
    said = "".join(worker.process.said for worker in workers.values())

    assert "Invoking the lambda function" in said
    assert [name for name, value in store.variables.items() if value in said] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"LUCAS_STORAGE_SIGNING_KEY": "of somebody else"}, "signature"),
        ({"LUCAS_STORAGE_SIGNING_KEY": ""}, "LUCAS_STORAGE_SIGNING_KEY"),
        ({"STORAGE_ACCESS_KEY": "", "STORAGE_SECRET_KEY": ""}, "STORAGE_ACCESS_KEY"),
        ({"STORAGE_SECRET_KEY": "of somebody else"}, "STORAGE_SECRET_KEY"),
    ],
    ids=["another signing key", "no signing key", "no keys", "another secret"],
)
def test_a_worker_that_was_told_something_else_answers_with_what_is_wrong(workers, start, store, wrong, said):
    _, body = post(workers["train"], workers, n=3)
    stranger = start(STUDY, "score", **{**store.variables, **wrong})["score"]
    status, answer = post(stranger, workers, trained=body["data"])

    assert (status, answer["status"]) == (500, "error")
    assert said in answer["error"]


def test_a_worker_whose_key_may_not_write_names_what_it_may_not(start, store):
    reader = start(STUDY, "train", **{**store.variables, **store.reader.variables})["train"]
    status, answer = post(reader, {}, n=3)

    assert status == 500
    assert "PermissionDenied" in answer["error"]


def test_a_worker_that_takes_itself_for_the_server_says_that_none_answers_there(platform, start, store):
    """Lucas's worker listens on 9000 unless told otherwise, where a client looks that was told nothing."""
    port = platform.free_port()
    variables = {**store.variables, "PORT": str(port), "STORAGE_ENDPOINT": f"localhost:{port}"}
    status, answer = post(start(STUDY, "train", **variables)["train"], {}, n=3)

    assert status == 500
    assert f"no storage server answers at localhost:{port} (from STORAGE_ENDPOINT)" in answer["error"]


def test_the_example_answers_whoever_asks_it_by_the_command_of_its_image(platform, start, store, tmp_path):
    workers = start(command_of_the_image(tmp_path), "report", "clean", "yearly", **store.variables)
    urls = [f"{name}={worker.url}" for name, worker in workers.items()]
    asked = platform.run(sys.executable, EXAMPLE / "ask.py", WEATHER, *urls, **store.variables)

    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[0].split() == ["lowest", "highest"]
    assert [line.split()[0] for line in asked.stdout.splitlines()[2:]] == ["2012", "2013", "2014", "2015"]
