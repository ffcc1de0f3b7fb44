"""Small calls of many threads, as a server sees them: fewer calls, and for each caller what it would have had alone."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from weakref import ref

import pytest

from actorc.storage import AlreadyExistsError, ObjectNotFoundError, StorageError
from actorc.storage.server.engines.memory.engine import MemoryEngine
from actorc.storage.testing import local_server

LONG = 60.0
"""Seconds that nothing below takes, unless it fails."""


class HeldEngine(MemoryEngine):
    """Counts what it is asked; a call for the key ``held`` is answered once `go` is set."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.held = threading.Semaphore(0)
        self.batches = []
        self.fail = []

    def _hold(self, key):
        if key == "held" and not self.go.is_set():
            self.held.release()
            assert self.go.wait(LONG)

    def head(self, bucket, key):
        self._hold(key)
        return super().head(bucket, key)

    def read(self, bucket, key, **options):
        self._hold(key)
        return super().read(bucket, key, **options)

    def put_small(self, bucket, small, *, idempotency_key=""):
        self._hold(small.key)
        return super().put_small(bucket, small, idempotency_key=idempotency_key)

    def _counted(self, keys):
        self.batches.append(sorted(keys))

    def head_many(self, bucket, keys):
        self._counted(keys)
        return super().head_many(bucket, keys)

    def read_many(self, bucket, keys, *, most):
        self._counted(keys)
        return super().read_many(bucket, keys, most=most)

    def put_many(self, bucket, objects, *, idempotency_key=""):
        self._counted([each.key for each in objects])
        stored = super().put_many(bucket, objects, idempotency_key=idempotency_key)
        if self.fail:
            # behind the change: the caller does not learn that it was made
            raise self.fail.pop()
        return stored


class Crowd:
    """Threads of one client whose first call of a kind is held by the server, so that further ones wait for it."""

    def __init__(self, engine, client, threads):
        self._engine = engine
        self._client = client
        self._threads = threads
        remote = client._remote
        self._arrived = threading.Semaphore(0)
        for gathering in (remote._heads, remote._small_gets, remote._puts):
            self._prepare(gathering)

    def _prepare(self, gathering):
        may_travel = gathering._travels

        def travels():
            self._arrived.release()
            return may_travel()

        gathering._travels, gathering._patience, gathering._window.size = travels, LONG, 1

    def run(self, first, *calls):
        """Make `calls` while `first` is under way; return the future of each, once all of them wait."""
        held = self._threads.submit(first, self._client)
        assert self._engine.held.acquire(timeout=LONG)
        futures = []
        for call in calls:
            futures.append(self._threads.submit(call, self._client))
            assert self._arrived.acquire(timeout=LONG)
        remote = self._client._remote
        for gathering in (remote._heads, remote._small_gets, remote._puts):
            with gathering._lock:
                pass
        self._engine.go.set()
        held.result(LONG)
        return futures


@pytest.fixture(params=[True, False], ids=["unix", "tcp"])
def crowd(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with ExitStack() as stack:
        engine = HeldEngine()
        server = stack.enter_context(local_server(engine))
        client = stack.enter_context(server.client(local=request.param))
        client.put_objects("bucket", {"held": b"held", **{f"{each}": b"%d" % each for each in range(10)}})
        engine.batches.clear()
        engine.go.clear()
        crowd = Crowd(engine, client, stack.enter_context(ThreadPoolExecutor(32)))
        stack.callback(engine.go.set)
        crowd.engine = engine
        crowd.client = client
        yield crowd


@contextmanager
def no_collection():
    """Collect no cycles within the block."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def get(key, **options):
    return lambda client: client.get_object("bucket", key, **options)


def head(key, **options):
    return lambda client: client.head_object("bucket", key, **options)


def put(key, data=b"new", **options):
    return lambda client: client.put_object("bucket", key, data, **options)


def results(futures):
    return [future.result(LONG) for future in futures]


def test_gets_of_many_threads_are_one_call(crowd):
    gotten = results(crowd.run(get("held"), *(get(f"{each}") for each in range(10))))

    assert gotten == [b"%d" % each for each in range(10)]
    assert crowd.engine.batches == [[f"{each}" for each in range(10)]]


def test_heads_of_many_threads_are_one_call_and_tell_what_each_alone_tells(crowd):
    found = results(crowd.run(head("held"), *(head(f"{each}") for each in range(10))))

    assert crowd.engine.batches == [[f"{each}" for each in range(10)]]
    assert found == [crowd.client.head_object("bucket", f"{each}") for each in range(10)]


def test_puts_of_many_threads_are_one_call_and_each_has_what_it_asked_for(crowd):
    described = {"content_type": "text/x-own", "metadata": {"a": "b"}, "ttl": 1000}
    stored = results(crowd.run(put("held"), put("a", **described), put("b", if_absent=True), put("c", b"")))

    assert crowd.engine.batches == [["a", "b", "c"]]
    heads = [crowd.client.head_object("bucket", key) for key in "abc"]
    assert [{name: head[name] for name in one} for one, head in zip(stored, heads, strict=True)] == stored
    assert (heads[0]["content_type"], heads[0]["metadata"]) == ("text/x-own", {"a": "b"})
    assert [bool(head["expires_at"]) for head in heads] == [True, False, False]


@pytest.mark.parametrize("call", [get, head])
def test_an_error_is_that_of_the_call_alone(crowd, call):
    missing, there = crowd.run(call("held"), call("missing"), call("1"))
    together = missing.exception(LONG)
    there.result(LONG)
    with pytest.raises(ObjectNotFoundError) as alone:
        call("missing")(crowd.client)

    assert type(together) is type(alone.value)
    told = [(each.message, each.bucket, each.key, each.code, each.retryable) for each in (together, alone.value)]
    assert told[0] == told[1]
    assert together.request_id


def test_a_condition_fails_for_its_own_put(crowd):
    futures = crowd.run(put("held"), put("1", if_absent=True), put("new", if_absent=True))
    error = futures[0].exception(LONG)

    assert crowd.engine.batches == [["1", "new"]]
    assert (type(error), error.key, bool(error.request_id)) == (AlreadyExistsError, "1", True)
    assert futures[1].result(LONG)["key"] == "new"


@pytest.mark.parametrize(
    "call",
    [
        get("1", offset=0, length=1),
        lambda client: client.get_object("bucket", "1", generation=client.head_object("bucket", "1")["generation"]),
        lambda client: client.get_object("bucket", "1", if_match=client.head_object("bucket", "1")["etag"]),
    ],
)
def test_what_a_batch_cannot_carry_goes_alone(crowd, call):
    held = crowd._threads.submit(get("held"), crowd.client)
    assert crowd.engine.held.acquire(timeout=LONG)

    assert call(crowd.client) == b"1"
    assert not held.done()
    assert crowd.engine.batches == []


def test_puts_whose_batch_failed_behind_the_change_are_made_once(crowd):
    crowd.engine.fail.append(StorageError("out of order for a moment", retryable=True))
    stored = results(crowd.run(put("held"), put("a", if_absent=True), put("b", if_absent=True)))

    assert crowd.engine.batches == [["a", "b"]]
    assert [each["generation"] for each in stored] == [
        crowd.client.head_object("bucket", key)["generation"] for key in "ab"
    ]


def test_each_call_learns_that_the_client_was_closed(crowd):
    held = crowd._threads.submit(get("held"), crowd.client)
    assert crowd.engine.held.acquire(timeout=LONG)
    waiting = []
    for key in "123":
        waiting.append(crowd._threads.submit(get(key), crowd.client))
        assert crowd._arrived.acquire(timeout=LONG)
    crowd.client.close()
    crowd.engine.go.set()

    for each in (held, *waiting):
        error = each.exception(LONG)
        assert isinstance(error, StorageError)
        assert error.code == "Closed"


def test_a_client_that_nobody_uses_goes_at_once_with_its_connections(server):
    client = server.client()
    client.put_object("bucket", "key", b"data")
    store = ref(client._remote)
    with no_collection():
        del client

        assert store() is None


def test_a_call_to_a_slow_server_is_not_waited_for(crowd):
    crowd.client._remote._small_gets._patience = 0.001
    held = crowd._threads.submit(get("held"), crowd.client)
    assert crowd.engine.held.acquire(timeout=LONG)
    gotten = results([crowd._threads.submit(get(f"{each}"), crowd.client) for each in range(10)])

    assert gotten == [b"%d" % each for each in range(10)]
    assert not held.done()
