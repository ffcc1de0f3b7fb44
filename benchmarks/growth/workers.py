"""One to four worker processes of the server, sixteen clients: rate, and processor time of a call in the server."""

from __future__ import annotations

from benchmarks.cases import Arm, Case
from benchmarks.services import clients, storage_server

from .charts import Chart, points_of
from .clients import ours
from .load import SECONDS

ALONG = (1, 2, 3, 4)
SMALL = (1, 2)
CLIENTS = 16
RATE = Chart(
    "workers-rate",
    f"{CLIENTS} clients, 4 KiB",
    "workers of the server",
    "calls a second",
    lambda _, sample: 1 / sample.seconds,
    y_log=False,
)
COST = Chart(
    "workers-cpu",
    f"{CLIENTS} clients, 4 KiB",
    "workers of the server",
    "ms of processor time a call, server",
    # its processor time is that of all calls of the load
    lambda _, sample: sample.server_cpu * sample.seconds / SECONDS * 1000,
    y_log=False,
)
CHARTS = (RATE, COST)


def points(setting, along):
    for count in along:
        with storage_server("--workers", str(count)) as server, clients(server) as found:
            arms = [
                Arm(
                    f"ours, {action}_object, {transport}",
                    ours(server.endpoint, action, CLIENTS, transport),
                    server.pids,
                    transport,
                    reports=True,
                )
                for action in ("get", "put")
                for transport in found
            ]
            yield from points_of(
                Case("workers", arms, rounds=min(3, setting.scale.rounds), warm=False, x=count), *CHARTS
            )
