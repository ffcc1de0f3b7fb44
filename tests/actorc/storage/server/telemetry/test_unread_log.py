"""The log of a server whose standard error is a pipe that nobody reads, or reads late."""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actorc.storage import StorageClient
from actorc.storage.server.telemetry import line_handler
from actorc.storage.server.telemetry.line_handler import LineHandler

PATIENCE = 100
LOST = re.compile(r"(\d+) lines before this one are lost, since nobody read standard error")


class Pipe:
    """A pipe, and a handler that writes into it."""

    def __init__(self, monkeypatch):
        reading, writing = os.pipe()
        self.reader, self.writer = os.fdopen(reading, encoding="utf-8"), os.fdopen(writing, "w", encoding="utf-8")
        monkeypatch.setattr(sys, "stderr", self.writer)
        self.handler = LineHandler()
        self.handler.setFormatter(logging.Formatter("%(message)s"))

    def log(self, text, level=logging.INFO):
        self.handler.handle(logging.makeLogRecord({"msg": text, "levelno": level}))

    def read(self):
        """Return the lines that are there; the last one may be a part."""
        os.set_blocking(self.reader.fileno(), False)
        found = b""
        polled = select.poll()  # the tests before this one may have left more files open than `select` takes
        polled.register(self.reader, select.POLLIN)
        while polled.poll(0):
            found += os.read(self.reader.fileno(), 1 << 20)
        return found.decode().split("\n")

    def close(self):
        self.reader.close()
        self.writer.close()


@pytest.fixture
def pipe(monkeypatch):
    monkeypatch.setattr(line_handler, "_PATIENCE_SECONDS", 0)
    made = Pipe(monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_pipe_that_nobody_reads_stops_no_thread_and_what_is_lost_is_told(pipe, level):
    for number in range(5000):
        pipe.log(f"line {number} of many" + "." * 60, level)
    *first, part = pipe.read()
    pipe.log("read again", level)
    found = (part + "\n".join(pipe.read())).split("\n")[:-1]
    while found[-1] != "read again":
        pipe.log("more", level)
        found += pipe.read()[:-1]
        found = [line for line in found if line != "more"]

    (lost,) = [int(told[1]) for line in found if (told := LOST.search(line))]
    numbers = [int(line.split()[1]) for line in [*first, *found] if line.startswith("line ")]
    assert numbers == sorted(numbers)
    assert len(numbers) + lost == 5000
    assert numbers[-1] == 4999


def test_a_reader_that_is_late_gets_every_line(pipe):
    for number in range(1200):
        pipe.log(f"{number} " + "x" * 90)
    found = "\n".join(pipe.read())
    while "end" not in found:
        pipe.log("end")
        found += "\n".join(pipe.read())

    assert [int(line.split()[0]) for line in found.split("\n") if line[:1].isdigit()] == list(range(1200))


def test_a_long_line_passes_through_a_pipe_whole(pipe):
    text = "ü" * 16_000
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.reader.readline()))
    reader.start()
    pipe.log(text)
    reader.join(PATIENCE)

    assert read == [text + "\n"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_whose_log_nobody_reads_answers_and_ends(tmp_path, workers):
    program = str(Path(sys.executable).with_name("lucas-storage"))
    options = ["--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"), "--workers", workers, "--http", "off"]
    process = subprocess.Popen([program, "serve", *options], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if " on 127.0.0.1:" in line:
                break
        with StorageClient(line.split(" on ")[-1].strip()) as client:
            client.create_bucket("bucket")
            for _ in range(1500):
                client.put_object("bucket", "k" * 200, b"x")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
