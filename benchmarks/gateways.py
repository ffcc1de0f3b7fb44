"""One gateway beside its store through obstore: throughput of large streams, rate of small calls, and its CPU time.

The store is the one that LUCAS_STORAGE_TEST_S3 names, as for the tests over a real store, or else one in memory: that
of the gateway in its own process, that of the baseline in this one, so small calls have no expectation there. Clients,
gateway and store share this machine; only the CPU time of the gateway holds for other machines.

Expected: a stream through a gateway has a third of the store's own speed, as everything goes through it twice, and
what is put is staged before it is sent on. A small call takes up to three times as long as the store's own.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

from actorc.storage import StorageClient

from .harness import MiB, Row, seconds, storage_server

IN_MEMORY = "remote+memory://"
STORE = os.environ.get("LUCAS_STORAGE_TEST_S3", IN_MEMORY)
LARGE = os.urandom(MiB) * 256
PART = LARGE[: 64 * MiB]
SMALL = os.urandom(4096)
STREAMS = 8
CALLS = 400
ROUNDS = 3


def measure():
    if importlib.util.find_spec("obstore") is None:
        yield Row("gateways", "not measured", "obstore is missing", "", "", met=False)
        return
    with storage_server("--http", "off", engine=_place()) as server, StorageClient(server.endpoint) as client:
        gateway, ours, theirs = psutil.Process(server.pid), _Ours(client), _Theirs(_store())
        for each in (ours, theirs):
            each.put(0, SMALL)
        with tempfile.NamedTemporaryFile() as file:
            file.write(LARGE)
            file.flush()
            for name, action, count, content in (
                ("put 256 MiB, one stream", "put", 1, LARGE),
                ("get 256 MiB, one stream", "get", 1, len(LARGE)),
                ("put a file of 256 MiB, in parts", "send", 1, Path(file.name)),
                (f"put 64 MiB, {STREAMS} streams", "put", STREAMS, PART),
                (f"get 64 MiB, {STREAMS} streams", "get", STREAMS, len(PART)),
            ):
                size = count * (len(LARGE) if count == 1 else len(PART))
                yield from _streams(name, gateway, ours, theirs, (action, content, count, count), size)
        for threads in (1, 16):
            for action, content in (("put", SMALL), ("get", len(SMALL))):
                yield from _calls(gateway, ours, theirs, (action, content, CALLS, threads))
        for each in (ours, theirs):
            each.clear()


class _Ours:
    def __init__(self, client):
        self._client = client
        self._client.create_bucket("bench", exist_ok=True)

    def put(self, number, data):
        self._client.put_object("bench", f"key-{number}", data)

    def send(self, number, path):
        self._client.upload_file("bench", f"key-{number}", path)

    def get(self, number, size):
        assert sum(map(len, self._client.stream_object("bench", f"key-{number}"))) == size

    def clear(self):
        self._client.delete_bucket("bench", force=True)


class _Theirs:
    def __init__(self, store):
        self._store = store

    def put(self, number, data):
        self._store.put(f"key-{number}", data)

    def send(self, number, path):
        self._store.put(f"key-{number}", path)

    def get(self, number, size):
        assert sum(map(len, self._store.get(f"key-{number}").stream(MiB))) == size

    def clear(self):
        for page in self._store.list():
            self._store.delete([found["path"] for found in page])


def _place():
    """Return the URL of an unused prefix of the store."""
    head, mark, query = STORE.partition("?")
    return STORE if STORE == IN_MEMORY else f"{head}/bench-{uuid.uuid4().hex}{mark}{query}"


def _store():
    from obstore.store import MemoryStore, S3Store

    if STORE == IN_MEMORY:
        return MemoryStore()
    parts = urlsplit(STORE)
    config = {name: values[0] for name, values in parse_qs(parts.query).items() if name in {"endpoint", "region"}}
    allow_http = config.get("endpoint", "").startswith("http://")
    prefix = f"bench-{uuid.uuid4().hex}"
    return S3Store(parts.netloc, prefix=prefix, config=config, client_options={"allow_http": allow_http})


def _streams(name, gateway, ours, theirs, work, size):
    took, cpu, baseline = _alternate(gateway, ours, theirs, work)
    size /= 1e6
    ratio = baseline / took
    yield Row(
        name,
        f"{size / took:.0f} MB/s",
        f"{size / baseline:.0f} MB/s the store itself",
        f"{ratio:.2f}",
        "≥ 0.33",
        ratio >= 0.33,
    )
    yield Row("  CPU time of the gateway", f"{cpu / size * 1000:.2f} s per GB", "", "", "≤ 4", cpu / size * 1000 <= 4)


def _calls(gateway, ours, theirs, work):
    action, _, _, threads = work
    took, cpu, baseline = _alternate(gateway, ours, theirs, work)
    ratio = baseline / took
    yield Row(
        f"{action} 4 KiB, {threads} thread{'s' if threads > 1 else ''}",
        f"{CALLS / took:.0f}/s",
        f"{CALLS / baseline:.0f}/s the store itself",
        f"{ratio:.2f}",
        "" if STORE == IN_MEMORY else "≥ 0.33",
        STORE == IN_MEMORY or ratio >= 0.33,
    )
    yield Row("  CPU time of the gateway", f"{cpu / CALLS * 1000:.2f} ms a call", "", "", "≤ 2", cpu / CALLS <= 0.002)


def _alternate(gateway, ours, theirs, work):
    """Return the median seconds of ours, of the gateway's CPU in it, and of theirs."""
    samples = []
    for _ in range(ROUNDS):
        before = gateway.cpu_times()
        took = seconds(lambda: _many(ours, *work))
        after = gateway.cpu_times()
        cpu = after.user + after.system - before.user - before.system
        samples.append((took, cpu, seconds(lambda: _many(theirs, *work))))
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def _many(it, action, content, count, threads):
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: getattr(it, action)(number, content), range(count)))
