"""More connections than there is room for: on the HTTP plane, and in the whole process."""

from __future__ import annotations

import resource
import select
import signal
import socket
import ssl
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
import trustme

from actorc.storage import NetworkError, ResourceExhaustedError, RetryPolicy, StorageClient
from actorc.storage.server.grpc import server
from actorc.storage.server.http.listener import Listener
from actorc.storage.server.http.server import HttpServer
from actorc.storage.testing import local_server

MiB = 1 << 20
MOST = 8
CROWD = 200
DESCRIPTORS = 80
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
RUNNING = b"running\n"
FOR_EVER = 600
SERVE = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
runpy.run_module("actorc.storage.server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def opened():
    """A server, its port of HTTP, and what opens connections to a port."""
    with ExitStack() as stack, local_server(http=True) as running:

        def connect(port=None):
            place = ("127.0.0.1", port or urlsplit(running.http_endpoint).port)
            return stack.enter_context(socket.create_connection(place, timeout=20))

        yield running, connect


@pytest.fixture
def few(monkeypatch):
    """Room for a few connections, with as much time as they like."""
    monkeypatch.setattr(HttpServer, "max_connections", MOST)
    monkeypatch.setattr(HttpServer, "idle_seconds", FOR_EVER)


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(HttpServer, "idle_seconds", 0.2)


def was_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def is_open(connection):
    connection.settimeout(0)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True


def heard(connection, end):
    data = b""
    while not data.endswith(end) and (piece := connection.recv(4096)):
        data += piece
    return data


def test_of_many_idle_connections_the_oldest_give_way_and_everybody_is_served(few, opened, ask):
    running, connect = opened
    crowd = [connect() for _ in range(3 * MOST)]
    gone = [was_closed(each) for each in crowd[: 2 * MOST]]
    answer = ask(running.http_endpoint + "/healthz")
    gone.append(was_closed(crowd[2 * MOST]))

    assert answer.status == 200
    assert all(gone)
    assert all(is_open(each) for each in crowd[2 * MOST + 1 :])


def test_a_connection_that_is_used_is_not_the_oldest(few, opened):
    running, connect = opened
    health = HEALTH % urlsplit(running.http_endpoint).port
    used = connect()
    crowd = [connect() for _ in range(MOST - 1)]
    for each in (*crowd, used):
        each.sendall(health)
        heard(each, RUNNING)
    connect()

    assert was_closed(crowd[0])
    assert is_open(used)


def test_a_connection_on_which_a_body_is_sent_gives_way_to_nobody(few, opened, line):
    running, connect = opened
    with running.client() as client:
        client.create_bucket("bucket")
        sender = line(client.presign_url("bucket", "key", "PUT"), "PUT", "Content-Length: 5", "Expect: 100-continue")
        begun = sender.heard()
        crowd = [connect() for _ in range(2 * MOST)]
        gone = [was_closed(each) for each in crowd[: MOST + 1]]
        sender.send(b"12345")

        assert begun.startswith(b"HTTP/1.1 100 ")
        assert all(gone)
        assert sender.heard()[:12] == b"HTTP/1.1 201"


@pytest.mark.parametrize("before", [0, 1, 2], ids=["new", "used once", "used twice"])
@pytest.mark.parametrize("begun", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: 1"])
def test_a_head_that_does_not_come_is_not_waited_for_whatever_was_before(hasty, opened, ask, before, begun):
    running, connect = opened
    slow = connect()
    for _ in range(before):
        slow.sendall(HEALTH % urlsplit(running.http_endpoint).port)
        assert heard(slow, RUNNING).startswith(b"HTTP/1.1 200 ")
    slow.sendall(begun)

    assert ask(running.http_endpoint + "/healthz").status == 200
    assert was_closed(slow)


@pytest.mark.parametrize("target", ["/o/bucket/key", "/healthz"])
@pytest.mark.parametrize("body", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_the_body_of_a_stranger_is_not_waited_for(opened, line, ask, monkeypatch, target, body):
    monkeypatch.setattr(HttpServer, "linger_seconds", 0.05)
    with local_server(http=True) as running:
        stranger = line(f"{running.http_endpoint}{target}", "PUT", body)

        assert ask(running.http_endpoint + "/healthz").status == 200
        assert stranger.rest()[:12] in {b"HTTP/1.1 403", b"HTTP/1.1 200"}


@pytest.mark.thorough
def test_a_connection_whose_answers_nobody_takes_is_broken(hasty, opened, ask):
    running, _ = opened
    port = urlsplit(running.http_endpoint).port
    requests = (HEALTH % port).replace(b"healthz", b"metrics") * 100_000
    with socket.socket() as reader:
        # the system keeps little for a peer that has room for little
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(20)
        reader.connect(("127.0.0.1", port))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            reader.sendall(requests)

    assert ask(running.http_endpoint + "/healthz").status == 200


@pytest.fixture
def tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with local_server(http=True, tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem") as running:
        yield running.http_endpoint, context


def test_handshakes_that_do_not_come_give_way_too(few, tls, ask, opened):
    endpoint, context = tls
    crowd = [opened[1](urlsplit(endpoint).port) for _ in range(2 * MOST)]
    gone = [was_closed(each) for each in crowd[:MOST]]

    assert all(gone)
    assert ask(endpoint + "/healthz", context=context).status == 200


def test_a_handshake_is_not_waited_for_for_ever(monkeypatch, tls, ask, opened):
    monkeypatch.setattr(Listener, "handshake_seconds", 0.2)
    endpoint, context = tls
    silent, chatty = (opened[1](urlsplit(endpoint).port) for _ in range(2))
    chatty.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert was_closed(silent)
    chatty.close()
    assert ask(endpoint + "/healthz", context=context).status == 200


@pytest.mark.slow
def test_a_connection_on_which_nobody_calls_is_closed_and_a_client_connects_again(monkeypatch):
    options = dict(server._CHANNEL_OPTIONS) | {"grpc.max_connection_idle_ms": 300}
    monkeypatch.setattr(server, "_CHANNEL_OPTIONS", tuple(options.items()))
    was_ready, was_closed_then = threading.Event(), threading.Event()

    def follow(state):
        if state is grpc.ChannelConnectivity.READY:
            was_ready.set()
        elif was_ready.is_set():
            was_closed_then.set()

    with local_server() as running, running.client(retry=RetryPolicy(attempts=1)) as client:
        client.put_object("bucket", "key", b"value")
        with grpc.insecure_channel(running.endpoint, [("grpc.use_local_subchannel_pool", 1)]) as idle:
            idle.subscribe(follow, try_to_connect=True)
            seen = was_ready.wait(20), was_closed_then.wait(20)

        assert seen == (True, True)
        assert client.get_object("bucket", "key") == b"value"


@pytest.fixture
def narrow(run, tmp_path):
    """A server that may open few files; return it, its address, and its port of HTTP."""
    where = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--auto-create-buckets")
    process = run("-c", SERVE, "--data", str(tmp_path / "data"), *where)
    address = process.said("serving ").rpartition(" on ")[2]
    port = int(process.said("serving presigned URLs at ").rpartition(":")[2])
    process.said("open to every process")
    # over TCP, whose connection outlives a refused upload: no other could be opened meanwhile
    with StorageClient(address, retry=RetryPolicy(attempts=1), timeout=20, local=False) as client:
        client.put_object("bucket", "small", b"small")
        yield process, client, address, port


def crowd_at(port):
    return [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(CROWD)]


@pytest.mark.thorough
@pytest.mark.slow
def test_a_process_out_of_descriptors_says_so_once_and_goes_on_when_it_has_some(narrow):
    process, client, address, http = narrow
    # as if it had files open for the rest
    pid = process.process.pid
    now = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (now + 10, DESCRIPTORS))
    crowd = crowd_at(int(address.rpartition(":")[2]))
    process.said("out of file descriptors")
    waiting = socket.create_connection(("127.0.0.1", http), timeout=20)
    waiting.sendall(HEALTH % http)

    with pytest.raises(ResourceExhaustedError, match="out of file descriptors") as full:
        client.put_object("bucket", "large", bytes(3 * MiB))
    with (
        StorageClient(address) as late,
        pytest.raises(NetworkError) as unheard,
    ):
        late.get_object("bucket", "small", timeout=1)
    during = client.get_object("bucket", "small")
    for each in crowd:
        each.close()
    process.said("there are file descriptors again")
    with waiting:
        answer = heard(waiting, RUNNING)
    with StorageClient(address) as after:
        after.put_object("bucket", "large", bytes(3 * MiB))
        size = after.head_object("bucket", "large")["size"]
    process.kill(signal.SIGTERM)
    code, said = process.wait()

    assert (full.value.retryable, unheard.value.retryable) == (True, True)
    assert (during, answer[:12], size) == (b"small", b"HTTP/1.1 200", 3 * MiB)
    assert (code, said.count(" out of file descriptors,")) == (0, 1)
    # gRPC writes a line a second of its own accord
    assert said.count("\n") < CROWD


@pytest.mark.slow
def test_a_crowd_at_the_http_port_leaves_descriptors_for_everything_else(narrow):
    process, client, _, http = narrow
    crowd = crowd_at(http)
    gone = [was_closed(each) for each in crowd[: CROWD - DESCRIPTORS]]
    client.put_object("bucket", "large", bytes(3 * MiB))
    with socket.create_connection(("127.0.0.1", http), timeout=20) as late:
        late.sendall(HEALTH % http)
        answer = heard(late, RUNNING)
    process.kill(signal.SIGTERM)
    for each in crowd:
        each.close()
    code, said = process.wait()

    assert all(gone)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (code, "out of file descriptors" in said, "Traceback" in said) == (0, False, False)


@pytest.mark.slow
def test_a_crowd_at_the_grpc_port_leaves_descriptors_for_everything_else(narrow):
    process, client, address, http = narrow
    crowd = crowd_at(int(address.rpartition(":")[2]))
    gone = select.select(crowd, [], [], 20)[0]
    client.put_object("bucket", "large", bytes(3 * MiB))
    with socket.create_connection(("127.0.0.1", http), timeout=20) as late:
        late.sendall(HEALTH % http)
        answer = heard(late, RUNNING)
    for each in crowd:
        each.close()
    with StorageClient(address, local=False) as after:
        size = after.head_object("bucket", "large")["size"]
    process.kill(signal.SIGTERM)
    code, said = process.wait()

    assert gone
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert size == 3 * MiB
    assert (code, "out of file descriptors" in said, "Traceback" in said) == (0, False, False)
