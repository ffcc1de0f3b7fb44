"""A gateway beside its store through obstore: throughput of large streams, rate of small calls, and processor time.

Clients, gateway and store share this machine; of the gateway only the processor time holds for other machines.

Expected: a stream through a gateway has a third of the store's own speed, as everything goes through it twice, and
what is put is staged before it is sent on. A small call takes up to three times as long as the store's own.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager

from actorc.storage import StorageClient
from benchmarks.cases import Arm, Case, MiB, Missing, Speed, file_of, size_text
from benchmarks.peers.s3 import BUCKET, Absent, ObstorePeer
from benchmarks.services import TCP, environment, storage_server

STORE = "the store itself"
STREAMS = 8


def cases(setting):
    ceph = setting.stores[-1]
    missing = ceph.reason if isinstance(ceph, Absent) else ""
    if importlib.util.find_spec("obstore") is None:
        missing = "not measured: obstore is not installed"
    if missing:
        yield Case("gateway over Ceph", [Missing("through the gateway", missing)])
        return
    keys = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
    place = f"s3://{BUCKET}/gateway?endpoint={ceph.endpoint}&region=us-east-1"
    with environment(**keys, STORAGE_LOCAL="0"), _gateway(place) as (server, client):
        client.create_bucket("bench", exist_ok=True)
        yield from _streams(setting, (client, server), (ObstorePeer(ceph), ceph))
        yield from _calls(setting, (client, server), (ObstorePeer(ceph), ceph))


@contextmanager
def _gateway(place):
    with storage_server("--http", "off", engine=place) as server, StorageClient(server.endpoint) as client:
        yield server, client


def _streams(setting, gateway, store):
    source, size = file_of(setting.folder / "gateway", setting.scale.large), setting.scale.large
    data = source.read_bytes()
    part = data[: size // 4]
    ways = {
        "put, one stream": (
            lambda client, _: client.upload_from_stream("bench", "large", _pieces(data)),
            lambda peer, _: peer.put("large", data),
        ),
        "get, one stream": (
            lambda client, _: client.get_object("bench", "large"),
            lambda peer, _: peer.get("large"),
        ),
        "put a file, in parts": (
            lambda client, _: client.upload_file("bench", "file", source),
            lambda peer, _: peer.upload("file", source),
        ),
    }
    for name, (ours, theirs) in ways.items():
        yield _case(setting, f"{name}, {size_text(size)}", (gateway, ours), (store, theirs), size=size)
    ways = {
        f"put, {STREAMS} streams": (
            lambda client, number: client.put_object("bench", f"part-{number % STREAMS}", part),
            lambda peer, number: peer.put(f"part-{number % STREAMS}", part),
        ),
        f"get, {STREAMS} streams": (
            lambda client, number: client.get_object("bench", f"part-{number % STREAMS}"),
            lambda peer, number: peer.get(f"part-{number % STREAMS}"),
        ),
    }
    for name, (ours, theirs) in ways.items():
        options = {"size": len(part), "calls": STREAMS, "threads": STREAMS}
        yield _case(setting, f"{name}, {size_text(len(part))}", (gateway, ours), (store, theirs), **options)


def _pieces(data):
    view = memoryview(data)
    return (bytes(view[start : start + MiB]) for start in range(0, len(data), MiB))


def _calls(setting, gateway, store):
    data = os.urandom(setting.scale.small)
    ways = {
        "put": (
            lambda client, number: client.put_object("bench", f"key-{number}", data),
            lambda peer, number: peer.put(f"key-{number}", data),
        ),
        "get": (lambda client, _: client.get_object("bench", "key-0"), lambda peer, _: peer.get("key-0")),
    }
    for threads in (1, setting.scale.threads):
        for name, (ours, theirs) in ways.items():
            title = f"{name} {size_text(len(data))}, {threads} thread{'s' if threads > 1 else ''}"
            options = {"calls": setting.scale.calls, "threads": threads}
            yield _case(setting, title, (gateway, ours), (store, theirs), **options)


def _case(setting, name, ours, theirs, *, threads=1, **options):
    (client, server), action = ours
    (peer, store), other = theirs
    arms = [
        Arm(
            "through the gateway",
            lambda number: action(client, number),
            (*server.pids, *store.pids),
            TCP,
            Speed(0.33, (STORE,)),
            threads,
        ),
        Arm(STORE, lambda number: other(peer, number), store.pids, threads=threads),
    ]
    return Case(f"gateway over Ceph: {name}", arms, rounds=min(3, setting.scale.rounds), **options)
