"""The server as a process of its own: how it is told from outside, and what of it survives its death."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage.errors import ObjectNotFoundError

MiB = 1 << 20
SERVE = """
import logging, sys
from pathlib import Path
from actorc.storage.server import ServerOptions, serve
logging.basicConfig(level=logging.INFO)
options = ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True, grace=float(sys.argv[1]))
serve(options, linger_lock=Path(sys.argv[2]) if sys.argv[2:] else None)
"""


@pytest.fixture
def server(run):
    """Start ``python -m actorc.storage.server`` on a free port."""

    def started(*arguments):
        return run("-m", "actorc.storage.server", "--listen", "127.0.0.1:0", "--http", "off", *map(str, arguments))

    return started


def stuck_upload(raw, frames, *chunks):
    """Begin an upload that sends `chunks` and then nothing; return when it was accepted."""

    def sender():
        yield frames.opening(key="stuck")
        yield from chunks
        threading.Event().wait(20)

    call = raw("WriteObject", sender())
    next(call)
    return call


@pytest.mark.slow
def test_a_killed_server_keeps_what_it_acknowledged_and_nothing_else(server, connect, frames, refused, tmp_path):
    first = server("--data", tmp_path / "data", "--auto-create-buckets")
    raw = connect(first.address())
    small = raw.put("bucket", "small", b"data")
    large_data = os.urandom(3 * MiB)
    large = raw.write(frames.upload(large_data, key="large")).done
    stuck_upload(raw, frames, *(frames.chunk(at * MiB, bytes(MiB)) for at in range(3)))
    first.kill(signal.SIGKILL)
    first.wait()

    second = connect(server("--data", tmp_path / "data").address())
    _, error = refused(second, "HeadObject", pb.HeadObjectRequest(bucket="bucket", key="stuck"))
    listed = second("ListObjects", pb.ListObjectsRequest(bucket="bucket")).objects

    assert ObjectNotFoundError is type(error)
    assert [large, small] == list(listed)
    assert (b"data", large_data) == (second.get("bucket", "small"), second.get("bucket", "large"))


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_server_whose_streams_never_end(run, connect, frames, refused, number):
    process = run("-c", SERVE, "0.1")
    call = stuck_upload(connect(process.address()), frames)

    process.kill(number)
    code, said = process.wait()

    assert code == 0
    assert "Traceback" not in said
    status, _ = refused(lambda: call)
    assert status.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@pytest.mark.thorough
@pytest.mark.slow
def test_a_second_signal_ends_the_server_at_once(run, connect, frames):
    process = run("-c", SERVE, "1000")
    stuck_upload(connect(process.address()), frames)

    process.kill(signal.SIGINT)
    process.said("stopping")
    process.kill(signal.SIGINT)

    assert process.wait()[0] == 128 + signal.SIGINT


@pytest.mark.slow
def test_a_call_under_way_is_finished_before_the_server_ends_and_takes_its_endpoint_file_away(
    server, connect, frames, tmp_path
):
    file = tmp_path / "endpoint.json"
    process = server("--data", tmp_path / "data", "--auto-create-buckets", "--endpoint-file", file, "--grace", "1000")
    address = process.address()
    content = json.loads(file.read_text())
    mode = file.stat().st_mode & 0o777
    raw = connect(address)
    stopping = threading.Event()

    def sender():
        yield frames.opening()
        stopping.wait(20)
        yield frames.chunk(0, b"abc")
        yield frames.commit(b"abc")

    call = raw("WriteObject", sender())
    next(call)
    process.kill(signal.SIGTERM)
    process.said("stopping")
    stopping.set()

    assert next(call).done.size == 3
    assert process.wait()[0] == 0
    assert {"endpoint": address, "pid": process.process.pid, "data": str(tmp_path / "data")} == content
    assert mode == 0o600
    assert [tmp_path / "data"] == list(tmp_path.iterdir())


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that uses the server: it holds a shared lock on the file."""
    lock = tmp_path / "users.lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process, lock
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_server_ends_when_its_last_user_is_killed_and_a_new_one_waits_until_it_is_gone(run, holder, connect, frames):
    user, lock = holder
    process = run("-c", SERVE, "1000", str(lock))
    call = stuck_upload(connect(process.address()), frames)
    user.kill()
    process.said("stopping")

    with Path(lock).open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        call.cancel()
        fcntl.flock(file, fcntl.LOCK_SH)

    assert process.wait()[0] == 0


REFUSED = {
    "two engines": (["--engine", "memory://", "--data", "data"], "--data"),
    "unknown engine": (["--engine", "tape://"], "tape"),
    "reachable": (["--engine", "memory://", "--listen", "0.0.0.0:0"], "access keys"),
    "other things": (["--listen", "127.0.0.1:0", "--data", "home"], "such as 'thesis.tex'; choose an empty one"),
    "taken": (["--engine", "memory://", "--http", "off", "--listen", "{taken}"], "taken"),
    "workers": (["--engine", "memory://", "--listen", "127.0.0.1:0", "--workers", "2"], "one process; drop --workers"),
}
MAIN = """
import json, os, runpy, sys
import actorc.storage.server
codes = []
for number, arguments in enumerate(json.loads(sys.argv[1])):
    child = os.fork()  # which imports nothing anew
    if child == 0:
        os.dup2(os.open(f"{number}.txt", os.O_WRONLY | os.O_CREAT), 2)
        sys.argv[1:] = arguments
        runpy.run_module("actorc.storage.server", run_name="__main__", alter_sys=True)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """Exit code and standard error of every server that cannot start."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "home").mkdir()
    (folder / "home" / "thesis.tex").touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        wrong = [[each.format(taken=taken) for each in arguments] for arguments, _ in REFUSED.values()]
        command = [sys.executable, "-c", MAIN, json.dumps(wrong)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    said = [(folder / f"{number}.txt").read_text() for number in range(len(REFUSED))]
    assert [each.name for each in (folder / "home").iterdir()] == ["thesis.tex"]
    return dict(zip(REFUSED, zip(json.loads(done.stdout), said, strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", REFUSED)
def test_a_server_that_cannot_start_says_why_and_what_to_do(refusals, wrong):
    code, said = refusals[wrong]

    assert code == 2
    assert REFUSED[wrong][1] in said
    assert "Traceback" not in said


CLIENT = """
import sys
from actorc.storage import StorageClient
with StorageClient() as client:
    client.put_object("bucket", "key", b"value")
    print(client.endpoint, flush=True)
    sys.stdin.readline()
    print(client.get_object("bucket", "key", timeout=20), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def client_of(tmp_path):
    """Start a client that finds the server of ``.lucas-storage`` by itself, and reads when it is told to."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_server_comes_back_on_the_port_that_its_clients_hold(run, client_of, tmp_path, workers):
    serve = ["-m", "actorc.storage.server", "--http", "off", "--workers", str(workers)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    first = run(*serve, "--data", tmp_path / ".lucas-storage", "--listen", address)
    first.address()
    client = client_of()
    found = client.stdout.readline().strip()
    first.kill(signal.SIGKILL)
    first.wait()
    second = run(*serve, "--data", tmp_path / ".lucas-storage", "--listen", address)
    again = second.address()
    client.stdin.write("\n")
    client.stdin.flush()
    value = client.stdout.readline()
    code, said = run(*serve, "--data", tmp_path / "other", "--listen", address).wait()

    assert (found, again) == (address, address)
    assert value == "b'value'\n"
    assert (code, "the port is taken" in said) == (2, True)


UNSHARED = """
import runpy, socket, sys
socket.SO_REUSEPORT = socket.SO_KEEPALIVE  # is set without complaint, and lets nobody share anything
runpy.run_module("actorc.storage.server", run_name="__main__")
"""


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_where_ports_cannot_be_shared_serves_and_is_found(run, client_of, tmp_path):
    data = tmp_path / ".lucas-storage"
    process = run("-c", UNSHARED, "--data", data, "--listen", "127.0.0.1:0", "--http", "off")
    address = process.address()
    client = client_of()

    assert client.stdout.readline().strip() == address
    assert json.loads((data / "endpoint.json").read_text())["shares_port"] is False


def peak(pid):
    """Peak memory of a process, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_object(server, connect, frames, tmp_path):
    process = server("--data", tmp_path / "data", "--auto-create-buckets")
    raw = connect(process.address())
    block = os.urandom(MiB)
    raw.put("bucket", "warm", b"")
    before = peak(process.process.pid)

    raw.write(frames.upload(block * 192))
    size = sum(len(answer.chunk.data) for answer in raw("ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key")))

    assert 192 * MiB == size
    assert peak(process.process.pid) - before < 100 * MiB
