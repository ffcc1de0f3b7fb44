"""One to 256 clients, each with a connection of its own, that get or put 4 KiB as fast as they can."""

from __future__ import annotations

from benchmarks.cases import Arm, Case
from benchmarks.peers.s3 import Absent
from benchmarks.services import SETTINGS, environment

from .charts import Chart, points_of
from .load import seconds_a_call

ALONG = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SMALL = (1, 8)


def _chart(action, title):
    return Chart(f"clients-{action}", title, "clients", "calls a second", lambda _, sample: 1 / sample.seconds)


GET = _chart("get", "get_object of 4 KiB, many clients")
PUT = _chart("put", "put_object of 4 KiB, durable, many clients")
CHARTS = (GET, PUT)


def points(setting, along):
    for count in along:
        for chart, action in ((GET, "get"), (PUT, "put")):
            case = Case(
                action, list(_arms(setting, action, count)), rounds=min(3, setting.scale.rounds), warm=False, x=count
            )
            yield from points_of(case, chart)


def _arms(setting, action, count):
    for transport in setting.clients:
        yield Arm(f"ours, {transport}", ours(setting.server.endpoint, action, count, transport), reports=True)
    yield _arm("bare gRPC call", "bare", action, count, setting.bare.endpoint)
    store = setting.go_store
    if not isinstance(store, Absent):
        keys = store.access_key, store.secret_key
        yield _arm("obstore, JuiceFS", "obstore", action, count, store.endpoint, *keys)


def _arm(name, kind, action, count, *endpoint):
    return Arm(name, lambda _: seconds_a_call(kind, action, count, *endpoint), reports=True)


def ours(endpoint, action, count, transport):
    def measured(_):
        with environment(**SETTINGS[transport]):
            return seconds_a_call("ours", action, count, endpoint)

    return measured
