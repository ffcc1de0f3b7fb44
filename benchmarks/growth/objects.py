"""Small calls and a page of names in a bucket of one to a million objects."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.cases import Arm, Case, KiB
from benchmarks.rows.listing import fill, key_of
from benchmarks.services import clients, storage_server
from benchmarks.setting import BUCKET

from .charts import Chart, points_of

ALONG = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
SMALL = (1, 100, 10_000)
CHARTS = (
    Chart(
        "objects",
        "Calls in a bucket of many objects",
        "objects in the bucket",
        "ms a call",
        lambda _, sample: sample.seconds * 1000,
    ),
)


def points(setting, along):
    data = os.urandom(4 * KiB)
    for count in along:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), count)
            with storage_server(data=folder) as server, clients(server) as found:
                arms = list(_arms(*next(iter(found.items())), key_of(count // 2), data))
                yield from points_of(Case("objects", arms, calls=30, rounds=setting.scale.rounds, x=count), *CHARTS)


def _arms(transport, client, key, data):
    calls = {
        "put_object": lambda number: client.put_object(BUCKET, f"z{number}", data),
        "get_object": lambda _: client.get_object(BUCKET, key),
        "head_object": lambda _: client.head_object(BUCKET, key),
        "list_objects": lambda _: client.list_objects(BUCKET),
    }
    return (Arm(f"ours, {name}, {transport}", call) for name, call in calls.items())
