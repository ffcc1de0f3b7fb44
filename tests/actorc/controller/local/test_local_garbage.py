"""What is no message, at the controller's port and at the socket of a worker: refused, in one line of its log."""

from __future__ import annotations

import os
import random
import re
import socket
import ssl
import subprocess
import sys

import grpc
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

METHOD = "/controller.Service/Session"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REGISTER = pb.Message(type=pb.FR_REGISTER_REQUEST, register_request=pb.RegisterRequest(application_id="app"))
CUT_OFF = b"\x0a\xff\xff\xff\xff\x0f" + bytes(100_000)
RANDOM = random.Random(7)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a controller, and the file of its log."""
    folder = tmp_path_factory.mktemp("controller")
    log = folder / "log"
    command = [sys.executable, "-m", "lucas_storage.cli", "--debug", "controller", "--listen", "127.0.0.1:0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "APP_ID": "app"}, cwd=folder
        ) as process,
    ):
        try:
            address = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())[0]
            yield address, log
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert "Traceback" not in log.read_text()


class Log:
    """What a controller wrote since the test began."""

    def __init__(self, file):
        self._file = file
        self._before = file.stat().st_size

    def read_text(self):
        return self._file.read_bytes()[self._before :].decode()


@pytest.fixture
def logged(served):
    """The address of a controller, which is checked to be alive afterwards, and its log."""
    address, file = served
    log = Log(file)
    yield address, log
    assert call(address, REGISTER.SerializeToString())[0].type == pb.ACK
    assert "Traceback" not in log.read_text()
    assert len(log.read_text().splitlines()) < 100


def call(address, *requests):
    """Return the answers to a stream of messages, or the code with which it ended."""
    with grpc.insecure_channel(address) as channel:
        stream = channel.stream_stream(METHOD, response_deserializer=pb.Message.FromString)
        try:
            return list(stream(iter(requests), timeout=20))
        except grpc.RpcError as error:
            return error.code()


def sent(address, data):
    """Send bytes to a port, and wait until the other side hangs up or waits for more."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        except OSError:
            pass


def test_other_protocols_at_the_port_leave_nothing_in_the_log(logged):
    address, log = logged
    for data in (
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /controller.Service/Session HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        PREFACE,
        PREFACE + b"\0\0\0\4\0\0\0\0",  # ends within a frame
        PREFACE + RANDOM.randbytes(300),
        *(RANDOM.randbytes(size) for size in (1, 24, 1000, 100_000)),
    ):
        sent(address, data)
    host, _, port = address.rpartition(":")
    with pytest.raises(OSError), socket.create_connection((host, int(port))) as plain:  # noqa: PT011
        ssl._create_unverified_context().wrap_socket(plain)

    assert log.read_text() == ""


def test_what_is_no_message_ends_its_session_with_a_line_in_the_log(logged):
    address, log = logged
    whole = REGISTER.SerializeToString()
    garbage = [b"\xff" * 10, RANDOM.randbytes(100), RANDOM.randbytes(100_000), CUT_OFF, whole[:-1]]
    for each in garbage:
        assert call(address, each) is grpc.StatusCode.INVALID_ARGUMENT
        assert call(address, whole, each) is grpc.StatusCode.INVALID_ARGUMENT

    assert log.read_text().count("a client sent what is no message and was disconnected") == 2 * len(garbage)


def test_flipped_bytes_of_messages_leave_no_traceback(logged, thorough):
    address, _ = logged
    function = pb.AppendPyFunc(name="f", params=["x"], venv="v", pickled_object=b"x" * 40, language=pb.LANGUAGE_PYTHON)
    value = pb.Data(type=pb.Data.OBJECT_ENCODED, encoded=pb.EncodedObject(id="i", data=b"x", language=3))
    argument = pb.AppendArg(session_id="s", instance_id="1", name="g", param="x", value=value)
    orders = [
        pb.Message(type=pb.FR_APPEND_PY_FUNC, append_py_func=function),
        pb.Message(type=pb.FR_APPEND_ARG, append_arg=argument),
        pb.Message(type=pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id="i")),
    ]
    for _ in range(100 if thorough else 3):
        damaged = [bytearray(each.SerializeToString()) for each in orders]
        for each in damaged:
            each[RANDOM.randrange(len(each))] = RANDOM.randrange(256)
        call(address, REGISTER.SerializeToString(), *map(bytes, damaged))


@pytest.mark.slow
def test_a_worker_whose_socket_says_garbage_is_ended_and_its_call_fails(logged, connect):
    def spoil(data):
        import os
        import stat
        import time

        for descriptor in range(3, 64):
            try:
                is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
            except OSError:
                continue
            if is_socket:
                os.write(descriptor, data)
        time.sleep(30)

    address, log = logged
    session = connect(address)
    session.register("app.spoil")
    session.add(spoil)
    for garbage in (b"\x00\x00\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff"):
        assert "ended by signal 9" in session.call("spoil", data=garbage)

    assert log.read_text().count("a worker sent what is no message and is ended") == 3
    session.close()
