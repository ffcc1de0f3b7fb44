"""One server as several processes: they share the ports and the data, and end together."""

from __future__ import annotations

import logging
import os
import queue
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Barrier
from urllib.parse import urlsplit

import psutil
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.addresses import Address
from actorc.storage import AlreadyExistsError, StorageClient
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server import ServerOptions
from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.server.process import worker
from actorc.storage.server.process.ports import reserve
from actorc.storage.server.process.supervisor import Supervisor
from actorc.storage.server.service.admission import CallPool

pytestmark = pytest.mark.slow

PATIENCE = 20
PUTS = 'storage_calls_total{method="PutObject",status="OK"}'
BYTES = 'storage_object_bytes_total{direction="in"}'
SERVE = ("-m", "actorc.storage.server", "--listen", "127.0.0.1:0", "--workers", "2", "--http", "off")


@pytest.fixture
def serve(run, tmp_path):
    """Start a server of two workers; return it once both serve."""

    def started(*arguments, **options):
        data = ["--data", tmp_path / "data", "--auto-create-buckets"]
        return run(*SERVE, *map(str, (*data, *arguments)), **options)

    return started


def workers(process):
    return psutil.Process(process.process.pid).children()


def numbers(answer):
    """Return the numbers of a page of metrics by name."""
    return dict(re.findall(r"^(storage_\S+) (\S+)$", answer.body.decode(), re.MULTILINE))


def all_gone(processes):
    gone, alive = psutil.wait_procs(processes, PATIENCE)
    return len(gone) > 1 and not alive


@pytest.fixture
def clients():
    """Make clients, each with connections of its own, which the kernel spreads over the workers."""
    with ExitStack() as stack:
        yield lambda address, count: [stack.enter_context(StorageClient(address)) for _ in range(count)]


@pytest.fixture(scope="module")
def shared(run_for_all, tmp_path_factory):
    """A server of two workers for all tests that end neither, and its address."""
    data = tmp_path_factory.mktemp("shared") / "data"
    process = run_for_all(*SERVE, "--data", str(data), "--auto-create-buckets")
    yield process, process.address()
    last = workers(process)
    process.kill(signal.SIGTERM)

    assert process.wait()[0] == 0
    assert all_gone(last)


def test_workers_serve_one_port_and_one_directory(shared, clients):
    process, address = shared
    many = clients(address, 16)
    data = os.urandom(MiB)

    for number, client in enumerate(many):
        client.put_object("one-place", f"{number:02}", data[number:])
    got = [client.get_object("one-place", f"{15 - number:02}") for number, client in enumerate(many)]
    said = [process.said("PutObject OK bucket='one-place'") for _ in many]

    assert [data[15 - number :] for number in range(16)] == got
    assert len({re.search(r"\[(\d+)\] actorc.storage.server.access", line)[1] for line in said}) == 2


def test_sixteen_writers_over_two_workers_have_one_winner(shared, clients):
    many = clients(shared[1], 16)
    many[0].create_bucket("race")
    ready = Barrier(16)

    def write(client):
        ready.wait()
        try:
            return client.put_object("race", "key", os.urandom(64), if_absent=True)["etag"]
        except AlreadyExistsError:
            return None

    with ThreadPoolExecutor(16) as threads:
        etags = list(threads.map(write, many))

    assert [many[1].head_object("race", "key")["etag"]] == [etag for etag in etags if etag]


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(shared, clients):
    process, address = shared
    before = workers(process)
    (client,) = clients(address, 1)
    client.put_object("survivor", "key", b"data")

    before[0].kill()
    told = process.said("worker ")
    process.said("serves again")
    after = workers(process)
    got = [each.get_object("survivor", "key") for each in clients(address, 8)]

    assert "ended (SIGKILL), another one is started in" in told
    assert len({each.pid for each in (*before, *after)}) == 3
    assert got == [b"data"] * 8


def upload(raw, frames, stopping):
    """Begin an upload that goes on once `stopping` is set; return when it was accepted."""

    def sender():
        yield frames.opening()
        stopping.wait(PATIENCE)
        yield frames.chunk(0, b"abc")
        yield frames.commit(b"abc")

    call = raw("WriteObject", sender())
    next(call)
    return call


@pytest.mark.thorough
def test_calls_under_way_are_finished_before_the_workers_end(serve, connect, frames):
    # an interrupt from the keyboard reaches every process of the group
    process = serve(start_new_session=True)
    raw = connect(process.address())
    stopping = threading.Event()
    call = upload(raw, frames, stopping)
    both = workers(process)

    os.killpg(process.process.pid, signal.SIGINT)
    process.said("stopping")
    stopping.set()

    assert next(call).done.size == 3
    assert process.wait()[0] == 0
    assert all_gone(both)


@pytest.mark.thorough
def test_a_second_signal_ends_all_workers_at_once(serve, connect, frames):
    process = serve("--grace", "1000")
    never = threading.Event()
    upload(connect(process.address()), frames, never)
    both = workers(process)

    process.kill(signal.SIGTERM)
    process.said("stopping")
    process.kill(signal.SIGTERM)
    code, _ = process.wait()
    alive = [each for each in both if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    never.set()

    assert code == 128 + signal.SIGTERM
    assert alive == []


@pytest.mark.thorough
def test_workers_end_with_the_one_that_started_them_however_that_ends(serve, connect, frames, tmp_path):
    process = serve("--grace", "1000")
    never = threading.Event()
    upload(connect(process.address()), frames, never)
    both = workers(process)

    process.kill(signal.SIGKILL)

    assert all_gone(both)
    never.set()
    LocalEngine(tmp_path / "data").close()


@pytest.mark.thorough
def test_a_worker_may_be_replaced_gracefully(serve, connect, frames):
    process = serve()
    raw = connect(process.address())
    stopping = threading.Event()
    call = upload(raw, frames, stopping)

    for each in workers(process):
        each.terminate()
    stopping.set()

    assert next(call).done.size == 3
    assert "exit code 0" in process.said("another one is started")
    process.said("serves again")


@pytest.mark.thorough
def test_the_directory_of_a_group_is_refused_to_another_server(serve, run, tmp_path):
    first = serve()
    address = first.address()

    second = serve()
    code, said = second.wait()

    assert code == 2
    assert f"has a server already, process {first.process.pid} on {address}; use that one" in said


@pytest.mark.thorough
def test_any_worker_tells_the_numbers_of_all_also_of_one_that_died(serve, clients, ask):
    process = serve("--http", "127.0.0.1:0")
    address = process.address()
    many = clients(address, 16)
    for number, client in enumerate(many):
        client.put_object("bucket", f"key-{number}", b"12345")
    asked = urlsplit(many[0].server_info()["http_endpoint"])._replace(path="/metrics").geturl()
    first = [numbers(ask(asked)) for _ in range(8)]
    before = workers(process)
    before[0].kill()
    psutil.wait_procs(before[:1], PATIENCE)
    process.said("serves again")
    second = [numbers(ask(asked)) for _ in range(8)]

    assert {each[PUTS] for each in first + second} == {"16.0"}
    assert {each[BYTES] for each in first + second} == {"80.0"}
    assert {each["storage_engine_healthy"] for each in first + second} == {"1.0"}
    assert {each["storage_transfers"] for each in first + second} == {"0.0"}
    assert {each["storage_worker_restarts_total"] for each in first} == {"0.0"}
    assert {each["storage_worker_restarts_total"] for each in second} == {"1.0"}
    assert {each["storage_call_threads"] for each in first + second} == {"128.0"}
    assert {each['storage_bucket_objects{bucket="bucket"}'] for each in first + second} == {"16.0"}
    assert {each['storage_bucket_bytes{bucket="bucket"}'] for each in first + second} == {"80.0"}
    assert all(float(each["storage_cpu_seconds"]) > 0 for each in first + second)


def test_damage_that_was_found_is_told_once_whatever_the_number_of_workers(serve, clients, ask, tmp_path):
    with closing(LocalEngine(tmp_path / "data", sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
        with engine.writer("bucket", "key") as writer:
            writer.write(bytes(100_000), crc32c(bytes(100_000)))
            writer.commit(ObjectAttributes())
        (blob,) = (path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file())
        blob.chmod(0o600)
        with blob.open("r+b") as file:
            file.write(b"damage")
        engine.maintenance.scrub()
        assert engine.damaged == 1

    process = serve("--http", "127.0.0.1:0", "--scrub-days", "0")
    (client,) = clients(process.address(), 1)
    asked = urlsplit(client.server_info()["http_endpoint"])._replace(path="/metrics").geturl()

    assert {numbers(ask(asked))["storage_damage_found"] for _ in range(4)} == {"1.0"}


def test_an_url_of_one_worker_is_good_at_the_others(serve, clients, ask):
    process = serve("--http", "127.0.0.1:0")
    address = process.address()
    many = clients(address, 8)
    many[0].put_object("bucket", "key", b"data")

    answers = [ask(client.presign_url("bucket", "key")) for client in many]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"data")] * 8


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--listen", "{taken}"], "the port is taken or not allowed"),
        (["--http", "{taken}"], "the port is taken or not allowed"),
        (["--tls-cert", "{garbage}", "--tls-key", "{garbage}"], "garbage"),
        (["--workers", "0"], "workers must be at least 1"),
    ],
)
def test_what_keeps_workers_from_serving_is_told(serve, taken, tmp_path, arguments, reason):
    garbage = tmp_path / "garbage"
    garbage.write_text("no PEM")

    code, said = serve(*(each.format(taken=taken, garbage=garbage) for each in arguments)).wait()

    assert code == 2
    assert reason in said
    assert "Traceback" not in said


def test_a_reserved_port_is_nobody_elses():
    held, address = reserve(Address("127.0.0.1", 0))
    with held:
        with pytest.raises(InvalidParameterError, match="taken"):
            reserve(address)
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(address)
        with socket.create_server(held.getsockname(), reuse_port=True) as ours:
            assert ours.getsockname() == held.getsockname()


@pytest.mark.thorough
def test_workers_leave_nothing_open_behind(tmp_path):
    process = psutil.Process()
    children, files, threads = set(process.children()), process.num_fds(), threading.active_count()
    group = Supervisor(ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", workers=2))

    group.start()
    group.stop()

    LocalEngine(tmp_path / "data").close()
    # at most as before, since what earlier tests left may end meanwhile
    assert set(process.children()) <= children
    assert process.num_fds() <= files
    assert threading.active_count() <= threads


@pytest.fixture
def group(tmp_path):
    """Two workers that hang after three seconds of silence, their processes, and what is said of them."""
    said = queue.Queue()

    class Lines(logging.Handler):
        def emit(self, record):
            said.put(record.getMessage())

    handler, logger = Lines(), logging.getLogger("actorc.storage.server.process")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    before = set(psutil.Process().children())
    options = ServerOptions(
        data=tmp_path / "data", listen="127.0.0.1:0", workers=2, auto_create_buckets=True, grace=0.0
    )
    running = Supervisor(options, silence=3)
    address = running.start()
    yield address, lambda: set(psutil.Process().children()) - before, said
    running.stop()
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.thorough
def test_a_worker_that_hangs_is_killed_and_replaced_and_the_others_are_not(group):
    address, processes, said = group
    stuck, other = processes()
    stuck.suspend()
    heard = [said.get(timeout=PATIENCE) for _ in range(3)]

    assert re.fullmatch(r"worker \d says nothing for 3 s and is killed", heard[0])
    assert "(SIGKILL), another one is started" in heard[1]
    assert heard[2].endswith("serves again")
    assert not stuck.is_running()
    assert other in processes()
    assert len(processes()) == 2
    with StorageClient(address) as client:
        client.put_object("bucket", "key", b"data")


@pytest.mark.thorough
def test_a_stopped_worker_group_refuses_calls(serve, connect, refused):
    process = serve()
    raw = connect(process.address())
    process.kill(signal.SIGTERM)
    process.wait()

    status, _ = refused(raw, "ListBuckets", pb.ListBucketsRequest())

    assert status.code().name == "UNAVAILABLE"


@pytest.fixture
def pool():
    """A pool of two threads whose clock stands where it is told, and what lets its calls end."""
    now, go_on = [0.0], threading.Semaphore(0)
    calls = CallPool(2, waiting=8, name="call", clock=lambda: now[0])

    def begin():
        calls.submit(go_on.acquire)

    yield calls, begin, now, go_on
    go_on.release(16)
    calls.shutdown()


def test_a_pool_stands_still_when_all_threads_are_taken_and_none_ends_its_call(pool):
    calls, begin, now, _ = pool
    seen = []
    begin()
    now[0] = 10.0
    seen.append(calls.stuck_seconds())
    begin()
    now[0] = 25.0
    seen.append(calls.stuck_seconds())
    begin()
    now[0] = 40.0
    seen.append(calls.stuck_seconds())

    assert seen == [0.0, 15.0, 30.0]


def test_a_pool_moves_when_a_call_ends_and_another_takes_its_thread(pool):
    calls, begin, now, go_on = pool
    for _ in range(3):
        begin()
    ended = threading.Event()
    now[0] = 100.0
    calls.submit(ended.set)
    go_on.release(3)

    assert ended.wait(PATIENCE)
    assert calls.stuck_seconds() == 0.0


@pytest.mark.parametrize(("stuck", "lives"), [(worker.STUCK_SECONDS - 1, True), (worker.STUCK_SECONDS + 60, False)])
def test_a_worker_whose_calls_are_stuck_says_nothing_more(pool, stuck, lives):
    calls, begin, now, _ = pool
    looks = threading.Semaphore(0)

    class Watched:
        def stuck_seconds(self):
            looks.release()
            return calls.stuck_seconds()

    begin()
    begin()
    now[0] = stuck
    ours, theirs = socket.socketpair()
    with ours:
        thread = threading.Thread(target=worker.send_heartbeats, args=(theirs, Watched(), 0.01))
        thread.start()
        for _ in range(3):
            assert looks.acquire(timeout=PATIENCE)
        ours.settimeout(PATIENCE if lives else 0)
        try:
            said = ours.recv(1)
        except BlockingIOError:
            said = b""
        now[0] = 0.0
    thread.join(PATIENCE)
    theirs.close()

    assert said == (b"\n" if lives else b"")
    assert not thread.is_alive()
