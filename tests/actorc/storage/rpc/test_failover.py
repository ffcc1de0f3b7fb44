"""Several endpoints of one store: what works is used, what does not is left, and no call is lost or done twice."""

from __future__ import annotations

import io
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ClassVar

import grpc
import pytest

from actorc.storage import (
    AsyncStorageClient,
    NetworkError,
    NotFoundError,
    ResourceExhaustedError,
    RetryPolicy,
    StorageClient,
    StorageError,
)
from actorc.storage._rpc import cancellation
from actorc.storage._rpc.retries.endpoints import Endpoints
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.engines import open_engine
from actorc.storage.testing import local_server

MiB = 1 << 20
BIG = bytes(range(256)) * (4 * MiB // 256)
ONE_STREAM = BIG * 3
"""Longer than what stands in buffers on the way, and not so long that more than one stream is ever asked for it."""
HASTY = RetryPolicy(base=0.001, cap=0.01)


class Lent:
    """An engine that several servers use: closed by none of them, and each counts what it asks of it."""

    def __init__(self, engine):
        self._engine = engine
        self.calls = Counter()

    def __getattr__(self, name):
        found = getattr(self._engine, name)
        if not callable(found):
            return found

        def counted(*args, **kwargs):
            self.calls[name] += 1
            return found(*args, **kwargs)

        return counted

    def close(self):
        pass


class Gateway(StorageServer):
    """One of several servers of one store."""

    def __init__(self, engine, **options):
        self.lent = Lent(engine)
        settings = {"listen": "127.0.0.1:0", "auto_create_buckets": True, "grace": 0.0, "http": "off", **options}
        super().__init__(ServerOptions(engine="memory://", **settings), engine=self.lent)

    @property
    def served(self):
        """Whether it did anything."""
        return bool(self.lent.calls)


class Closing:
    """Where every connection is closed at once; counts them."""

    def __init__(self):
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                self._listener.accept()[0].close()
                self.connections += 1

    def close(self):
        # shutdown wakes the accepting thread; close alone would not
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def engine():
    found = open_engine("memory://")
    yield found
    found.close()


@pytest.fixture
def gateways(engine):
    with Gateway(engine) as first, Gateway(engine) as second:
        yield first, second


@pytest.fixture
def client(gateways):
    with StorageClient(",".join(each.address for each in gateways), retry=HASTY) as it:
        yield it


@pytest.fixture
def closing():
    running = Closing()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server():
    with local_server(http=True) as running, running.client() as direct:
        direct.put_object("bucket", "there", b"there")
        yield running


@pytest.fixture
def half(server, free_port):
    """A client whose first server is gone."""
    with StorageClient(f"127.0.0.1:{free_port},{server.endpoint}", retry=HASTY) as it:
        yield it


@pytest.fixture
def cancelling():
    """Where every call is cancelled by the server, as those are that run when it is told to stop."""

    def cancel(_, context):
        context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")

    class Handlers(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(cancel)

    with ThreadPoolExecutor(2) as threads:
        running = grpc.server(threads, [Handlers()])
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        yield f"127.0.0.1:{port}"
        running.stop(0).wait()


def written(client):
    with client.open_object("bucket", "file", "wb") as file:
        file.write(b"by file")
    return client.get_object("bucket", "file")


def read(client):
    with client.open_object("bucket", "there") as file:
        return file.read()


def in_parts(client):
    upload = client.create_multipart_upload("bucket", "parts")["upload_id"]
    client.upload_part("bucket", "parts", upload, 1, b"parts")
    client.complete_multipart_upload("bucket", "parts", upload, client.list_parts("bucket", "parts", upload))
    return client.get_object("bucket", "parts")


CALLS = {
    "server_info": (lambda it: it.server_info()["engine"], "memory"),
    "put_object": (lambda it: it.put_object("bucket", "key", b"four")["size"], 4),
    "put_object, large": (lambda it: it.put_object("bucket", "key", BIG)["size"], 4 * MiB),
    "get_object": (lambda it: it.get_object("bucket", "there"), b"there"),
    "get_ranges": (lambda it: it.get_ranges("bucket", "there", [(1, 2), (-2, 2)]), [b"he", b"re"]),
    "stream_object": (lambda it: b"".join(it.stream_object("bucket", "there")), b"there"),
    "head_object": (lambda it: it.head_object("bucket", "there")["size"], 5),
    "object_exists": (lambda it: it.object_exists("bucket", "nowhere"), False),
    "list_objects": (lambda it: len(it.list_objects("bucket", "there")["objects"]), 1),
    "iter_objects": (lambda it: len(list(it.iter_objects("bucket", "there"))), 1),
    "copy_object": (lambda it: it.copy_object("bucket", "there", "bucket", "copy")["size"], 5),
    "delete_object": (lambda it: it.delete_object("bucket", "nothing"), None),
    "put_objects": (lambda it: len(it.put_objects("bucket", {"key": b"1"})["stored"]), 1),
    "get_objects": (lambda it: it.get_objects("bucket", ["there"])["objects"][0]["data"], b"there"),
    "delete_objects": (lambda it: it.delete_objects("bucket", ["nothing"])["errors"], {}),
    "upload_from_stream": (lambda it: it.upload_from_stream("bucket", "key", iter([BIG] * 2))["size"], 8 * MiB),
    "download_to_stream": (lambda it: it.download_to_stream("bucket", "there", io.BytesIO())["size"], 5),
    "multipart": (in_parts, b"parts"),
    "open_object, to write": (written, b"by file"),
    "open_object, to read": (read, b"there"),
    "create_bucket": (lambda it: it.create_bucket("another", exist_ok=True)["name"], "another"),
    "bucket_exists": (lambda it: it.bucket_exists("nowhere"), False),
    "presign_url": (lambda it: it.presign_url("bucket", "there").partition("?")[0][-15:], "/o/bucket/there"),
}


@pytest.mark.few(8)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_goes_to_the_next_server_when_the_first_is_gone(half, name):
    call, expected = CALLS[name]

    assert call(half) == expected


def test_files_go_to_the_next_server_when_the_first_is_gone(half, tmp_path):
    (tmp_path / "in").write_bytes(BIG)
    half.upload_file("bucket", "path", tmp_path / "in")
    half.download_file("bucket", "path", tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == BIG


async def _awaited(endpoint):
    async with AsyncStorageClient(endpoint, retry=HASTY) as client:
        await client.put_object("bucket", "awaited", BIG)
        return await client.get_object("bucket", "awaited")


def test_the_asynchronous_client_does_the_same(half):
    import asyncio

    assert asyncio.run(_awaited(half.endpoint)) == BIG


def test_the_plugin_takes_several_endpoints_and_one_store_of_several_has_them_too(half, monkeypatch, tmp_path):
    from lucas_storage import Storage, storage_context

    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path))
    monkeypatch.setenv("STORAGE_ENDPOINT", half.endpoint)
    with Storage() as storage:
        ref = storage.put(BIG)
        assert storage.get(ref, bytes) == BIG
    with storage_context(endpoints={"other": half.endpoint}), Storage(store="other") as storage:
        assert storage.get(storage.put(b"x" * MiB), bytes) == b"x" * MiB


def test_calls_go_to_the_first_server_while_it_works(gateways, client):
    client.put_object("bucket", "key", BIG)
    with pytest.raises(NotFoundError):
        client.get_object("bucket", "nothing")

    assert client.get_object("bucket", "key") == BIG
    assert [each.served for each in gateways] == [True, False]


def test_what_works_is_kept_to(closing, server):
    with StorageClient(f"{closing.address},{server.endpoint}", retry=HASTY) as client:
        client.server_info()
        connections = closing.connections
        for number in range(10):
            client.put_object("bucket", f"{number}", b"x")

        assert connections >= 1
        # gRPC itself may have been trying again, so a connection or two can come later, but none for each call
        assert closing.connections < connections + 5


def test_a_server_that_is_left_is_returned_to_when_the_other_goes_too(engine, gateways, client):
    first, second = gateways
    client.put_object("bucket", "key", b"one")
    first.stop(0)
    client.put_object("bucket", "key", b"two")
    with Gateway(engine, listen=first.address) as again:
        second.stop(0)

        assert client.get_object("bucket", "key") == b"two"
        assert again.served


def test_a_server_that_refuses_a_call_for_good_is_not_left(closing, server):
    with StorageClient(f"{server.endpoint},{closing.address}", retry=HASTY) as client:
        with pytest.raises(NotFoundError):
            client.get_object("bucket", "nothing")

        assert client.get_object("bucket", "there") == b"there"
        assert closing.connections == 0


def test_a_server_that_is_busy_is_not_left(engine, closing):
    with Gateway(engine, threads=2, reserved=1) as busy:
        direct = StorageClient(busy.address)
        direct.put_object("bucket", "key", BIG * 8)
        pieces = direct.stream_object("bucket", "key")
        next(pieces)
        client = StorageClient(f"{busy.address},{closing.address}", retry=RetryPolicy(attempts=2))
        with client, direct, pytest.raises(ResourceExhaustedError):
            client.get_object("bucket", "key")

        assert closing.connections == 0


def test_a_call_that_the_server_cancels_goes_elsewhere(cancelling, server):
    with StorageClient(f"{cancelling},{server.endpoint}", retry=HASTY) as client:
        assert client.head_object("bucket", "there")["size"] == 5
        assert client.get_object("bucket", "there") == b"there"


def test_a_call_that_the_caller_cancels_does_not_and_its_server_is_not_left(server, closing):
    scope = cancellation.CancelScope()
    with StorageClient(f"{server.endpoint},{closing.address}", retry=HASTY) as client:
        client.put_object("bucket", "key", BIG * 8)
        with cancellation.entered(scope):
            pieces = client.stream_object("bucket", "key")
            next(pieces)
            scope.cancel()
            with pytest.raises(StorageError, match="cancelled"):
                list(pieces)
        client.delete_object("bucket", "key")

    assert closing.connections == 0


def test_a_transfer_whose_client_is_closed_says_so_and_is_not_tried_elsewhere(gateways, client, caplog):
    client.put_object("bucket", "key", BIG * 8)
    pieces = client.stream_object("bucket", "key")
    next(pieces)
    client.close()
    with pytest.raises(StorageError, match="closed; make a new one"):
        list(pieces)

    assert (caplog.messages, gateways[1].served) == ([], False)


class Told(RetryPolicy):
    """Notes what each pause is for."""

    pauses: ClassVar = []

    def pause(self, error, failures, *, elsewhere=False, **options):
        self.pauses.append((type(error), elsewhere))
        return super().pause(error, failures, elsewhere=elsewhere, **options)


def test_a_busy_server_is_waited_for_even_if_another_one_was_left_before(engine, free_port):
    Told.pauses.clear()
    with Gateway(engine, threads=2, reserved=1) as busy, StorageClient(busy.address) as direct:
        direct.put_object("bucket", "key", BIG * 8)
        pieces = direct.stream_object("bucket", "key")
        next(pieces)
        client = StorageClient(f"127.0.0.1:{free_port},{busy.address}", retry=Told(attempts=3, base=0.001))
        with client, pytest.raises(ResourceExhaustedError):
            list(client.stream_object("bucket", "key"))

    assert Told.pauses == [(NetworkError, True), (ResourceExhaustedError, False), (ResourceExhaustedError, False)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_when_all_are_gone_one_error_names_them_all(count):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    endpoints = [f"127.0.0.1:{each.getsockname()[1]}" for each in listeners]
    for each in listeners:
        each.close()
    with StorageClient(",".join(endpoints), retry=HASTY) as client, pytest.raises(NetworkError) as caught:
        client.get_object("bucket", "key")

    assert f"none of the storage servers {', '.join(endpoints)} can be used now; " in caught.value.message
    assert (
        "(from the endpoint argument); start 'lucas-storage serve' there, or correct the address"
        in caught.value.message
    )
    assert caught.value.retryable


def test_a_policy_without_retries_goes_elsewhere_with_the_next_call(server, free_port):
    with StorageClient(f"127.0.0.1:{free_port},{server.endpoint}", retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(NetworkError) as caught:
            client.get_object("bucket", "there")

        assert caught.value.message.startswith(f"no storage server answers at 127.0.0.1:{free_port} (from")
        assert client.get_object("bucket", "there") == b"there"


def test_a_download_goes_on_at_the_next_server_where_it_broke(gateways, client):
    first, second = gateways
    client.put_object("bucket", "key", ONE_STREAM)
    pieces = client.stream_object("bucket", "key")
    begin = next(pieces)
    first.stop(0)

    assert begin + b"".join(pieces) == ONE_STREAM
    assert second.lent.calls["read"] == 1


def test_an_open_file_is_read_on_at_the_next_server(gateways, client):
    client.put_object("bucket", "key", BIG)
    with client.open_object("bucket", "key") as file:
        begin = file.read(MiB)
        gateways[0].stop(0)
        file.seek(MiB)

        assert begin + file.read() == BIG


class Interrupted(io.BytesIO):
    """A file in the middle of which a server goes away."""

    def __init__(self, data, gateway):
        super().__init__(data)
        self._gateway = gateway

    def read(self, size=-1):
        if self.tell() >= 2 * MiB:
            self._gateway.stop(0)
        return super().read(size)


def interrupted(pieces, gateway):
    """Yield the pieces; when the third is due, a server goes away."""
    for number, piece in enumerate(pieces):
        if number == 2:
            gateway.stop(0)
        yield piece


def test_an_upload_of_a_file_begins_anew_at_the_next_server(gateways, client):
    first, second = gateways
    put = client.upload_from_stream("bucket", "key", Interrupted(BIG, first))

    assert (put["size"], client.get_object("bucket", "key")) == (len(BIG), BIG)
    assert second.lent.calls["writer"] == 1


def test_an_upload_of_what_is_read_once_goes_on_with_the_part_that_broke(gateways, client):
    first, second = gateways
    put = client.upload_from_stream("bucket", "key", interrupted([BIG] * 8, first), chunk_size=MiB)

    assert (put["size"], client.get_object("bucket", "key")) == (8 * len(BIG), BIG * 8)
    assert (first.served, second.lent.calls["part_writer"] > 0) == (True, True)
    assert client.list_multipart_uploads("bucket")["uploads"] == []


def test_a_part_that_is_read_once_is_not_sent_again_and_says_what_would_be(gateways, client):
    upload = client.create_multipart_upload("bucket", "key")["upload_id"]
    with pytest.raises(NetworkError, match=r"was not sent again, .* pass bytes or a seekable file"):
        client.upload_part("bucket", "key", upload, 1, interrupted([BIG] * 8, gateways[0]))

    assert client.upload_part("bucket", "key", upload, 1, BIG)["size"] == len(BIG)


def test_a_server_that_drains_finishes_what_runs_and_new_calls_go_elsewhere(gateways, client):
    first, second = gateways
    client.put_object("bucket", "key", ONE_STREAM)
    pieces = client.stream_object("bucket", "key")
    begin = next(pieces)
    with ThreadPoolExecutor() as threads:
        stopped = threads.submit(first.stop, 1000)
        while not second.served:
            client.put_object("bucket", "other", b"x")
        running = not stopped.done()
        rest = b"".join(pieces)
        stopped.result(20)

    assert (running, begin + rest) == (True, ONE_STREAM)
    assert second.lent.calls["read"] == 0


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_that_goes_away_under_load_costs_no_call(gateways, client):
    first, second = gateways
    halfway = threading.Barrier(9)

    def work(name):
        for number in range(60):
            if number == 20:
                halfway.wait(20)
            data = f"{name}-{number}".encode() * 7000 * (1 + number % 5)
            put = client.put_object("bucket", f"{name}/{number}", data, if_absent=True)
            got = client.get_object("bucket", f"{name}/{number}")
            assert (put["size"], got) == (len(data), data)
        return number

    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(work, name) for name in range(8)]
        halfway.wait(20)
        first.stop(0)
        results = [each.result(60) for each in done]

    assert results == [59] * 8
    assert (len(list(client.iter_objects("bucket"))), second.served) == (8 * 60, True)


def test_several_threads_that_leave_a_server_at_once_leave_no_other():
    endpoints = Endpoints(["a:1", "b:1", "c:1"])
    for _ in range(8):
        endpoints.switch_from("a:1")
    present = [endpoints.current]
    for left in ("b:1", "c:1", "b:1"):
        endpoints.switch_from(left)
        present.append(endpoints.current)

    assert present == ["b:1", "c:1", "a:1", "a:1"]
    assert (str(endpoints), len(endpoints)) == ("a:1, b:1, c:1", 3)


def test_the_only_server_there_is_is_never_left():
    endpoints = Endpoints(["a:1"])
    endpoints.switch_from("a:1")

    assert endpoints.current == "a:1"
