"""Functions and a workflow behind the HTTP worker of genuine Lucas; prints what it answers as JSON.

The platform's Redis and RocketMQ are stood in for: the worker connects to both as it is imported.

python knative_cases.py
"""

from __future__ import annotations

import json
import os
import sys
import types

os.environ["provider"] = "knative"  # noqa: SIM112  # that is how Lucas spells it


class Broker:
    """Takes messages, and does nothing with them."""

    def __init__(self, *given):
        pass

    def __getattr__(self, name):
        return lambda *given, **named: None


class Memory:
    """Answers for Redis."""

    values: dict = {}  # noqa: RUF012  # one for all, as a server would be

    def __init__(self, **given):
        pass


client = types.ModuleType("rocketmq.client")
client.Producer = client.PushConsumer = client.Message = Broker
client.ConsumeStatus = type("ConsumeStatus", (), {"CONSUME_SUCCESS": 0, "RECONSUME_LATER": 1})
sys.modules["rocketmq"] = types.ModuleType("rocketmq")
sys.modules["rocketmq.client"] = client

import lucas.storage  # noqa: E402
import lucas.storage.redis_db  # noqa: E402

lucas.storage.RedisDB = lucas.storage.redis_db.RedisDB = Memory

import numpy as np  # noqa: E402
from lucas import create_handler, function, worker, workflow  # noqa: E402

from lucas_storage import StorageExecutor, with_storage  # noqa: E402

BIG = 50_000


@function
@with_storage
def make(n: int) -> np.ndarray:
    return np.full(BIG, n)


@function
@with_storage
def total(x: np.ndarray) -> int:
    return int(x.sum())


@function
@with_storage
def some_bytes() -> bytes:
    return b"bytes"


@function
@with_storage
def remember(rt):
    rt.storage.put("k", rt.input()["x"])
    return [rt.storage.get("k").shape, rt.storage.list(), rt.storage.exists("missing")]


@function
@with_storage
def through(rt):
    """Call another function of the platform and work with its value."""
    return int(rt.call("make", {"n": rt.input()["n"]}).sum())


@function
@with_storage
def tell(rt):
    """Send a message with a value in it."""
    rt.tell("total", {"x": np.full(BIG, rt.input()["n"])})
    return "told"


@workflow(executor=StorageExecutor)
def summed(wf):
    return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]})})


FUNCTIONS = {
    "make": make,
    "total": total,
    "some_bytes": some_bytes,
    "remember": remember,
    "through": through,
    "tell": tell,
}
HANDLERS = {name: create_handler(item) for name, item in FUNCTIONS.items()}
http = worker.app.test_client()


def post(handler, params):
    before, worker.lambda_handler = worker.lambda_handler, handler
    router = {name: f"http://{name}" for name in HANDLERS}
    try:
        answer = http.post(
            "/", json={"id": "1", "params": params, "namespace": "n", "router": router, "type": "invoke"}
        )
        return [answer.status_code, answer.get_json()]
    finally:
        worker.lambda_handler = before


class Answer:
    """What another pod of the platform answers, here from this very process."""

    def __init__(self, body):
        self._body = body

    def json(self):
        return self._body


def posted(url, json, **options):
    return Answer(post(HANDLERS[url.removeprefix("http://")], json["params"])[1])


import lucas.runtime.kn_runtime  # noqa: E402

lucas.runtime.kn_runtime.requests = types.SimpleNamespace(post=posted)

made = post(HANDLERS["make"], {"n": 3})
answers = {
    "bytes": post(HANDLERS["some_bytes"], {}),
    "array": made,
    "passed on": post(HANDLERS["total"], {"x": made[1]["data"]}),
    "as text": post(HANDLERS["total"], json.dumps({"x": made[1]["data"]})),
    "remembered": post(HANDLERS["remember"], {"x": made[1]["data"]}),
    "called": post(HANDLERS["through"], {"n": 2}),
    "told": post(HANDLERS["tell"], {"n": 2}),
    "workflow": [post(create_handler(summed), {"n": n}) for n in (1, 5)],
}
print(json.dumps(answers))
