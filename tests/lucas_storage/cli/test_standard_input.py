"""Reading that a signal ends, whenever it comes, and standard streams that are closed."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from lucas_storage.cli.transfers.standard_input import Interruptible


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def wake():
    woken, waking = socket.socketpair()
    with woken, waking:
        woken.settimeout(0)
        waking.settimeout(0)
        yield woken, waking


def test_pieces_are_put_together_until_there_are_enough(pipe, wake):
    reading, writing = pipe
    for piece in (b"abc", b"de", b"fg"):
        os.write(writing, piece)

    assert Interruptible(reading, wake[0]).read(6) == b"abcdef"


def test_what_there_is_comes_at_the_end(wake):
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    source = Interruptible(reading, wake[0])

    assert (source.read(6), source.read(6)) == (b"abc", b"")
    os.close(reading)


def test_a_signal_that_comes_when_the_read_has_begun_already_ends_it(pipe, wake):
    class Woken:
        """Gives the handler its turn where Python does, which is after the system's call has returned."""

        fileno = wake[0].fileno

        def recv(self, size):
            wake[0].recv(size)
            raise KeyboardInterrupt

    wake[1].send(bytes([signal.SIGINT]))
    with pytest.raises(KeyboardInterrupt):
        Interruptible(pipe[0], Woken()).read(1)


@pytest.mark.parametrize(
    ("closing", "arguments", "exit_code", "said"),
    [
        ("<&-", "ls", 0, ""),
        (">&-", "ls", 0, ""),
        ("<&- >&- 2>&-", "ls", 0, ""),
        ("2>&-", "ls no-bucket", 3, ""),
        ("<&-", "cp - lucas://default/my-bucket/key", 2, "standard input is closed"),
    ],
)
@pytest.mark.slow
def test_a_closed_stream_is_no_defect(lucas_storage, client, closing, arguments, exit_code, said):
    command = f'"$0" -m lucas_storage.cli {arguments} --endpoint {client.endpoint} {closing}'
    ran = lucas_storage.run(command, sys.executable, program=("sh", "-c"))

    assert ran.returncode == exit_code, ran.stderr
    assert said in ran.stderr
    assert [*client.iter_objects("my-bucket")] == []
