"""The log of a server: as text and as JSON, from a level, with hostile names harmless."""

from __future__ import annotations

import json
import logging
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage.server import ServerOptions
from actorc.storage.server.telemetry import log_output
from actorc.storage.server.telemetry.access_log import LOGGER_NAME, AccessLog
from actorc.storage.server.telemetry.ended_call import EndedCall

HOSTILE = 'a\n{"level": "error"}\r\x1b[2J\u202e"\udc80'
CALL = EndedCall(
    method="PutObject",
    status="OK",
    bucket="bucket",
    key=HOSTILE,
    size=5,
    seconds=0.00126,
    request_id="id",
    peer="ipv4:127.0.0.1:1",
    access_key="",
    proved=True,
)


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging, "logThreads", logging.logThreads)
    monkeypatch.setattr(logging, "logMultiprocessing", logging.logMultiprocessing)
    loggers = [logging.root, logging.getLogger("actorc"), logging.getLogger(LOGGER_NAME)]
    before = [(each, each.level, list(each.handlers), each.disabled) for each in loggers]
    # removed first: `configure` closes those that it finds
    logging.root.handlers = []
    yield
    logging.captureWarnings(capture=False)
    for logger, level, handlers, disabled in before:
        logger.setLevel(level)
        logger.handlers = handlers
        logger.disabled = disabled


@pytest.fixture
def configure():
    def configured(**given):
        log_output.configure(ServerOptions(engine="memory://", **given))

    return configured


@pytest.fixture
def lines(capsys):
    def written():
        return capsys.readouterr().err.splitlines()

    return written


def log_failure(text, message):
    def fail():
        raise ValueError(text)

    try:
        fail()
    except ValueError:
        logger().exception(message)


def logger(name="actorc.storage.server.some"):
    return logging.getLogger(name)


class SlowStream:
    """A stream whose first write lasts until it is told to end."""

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.written = []

    def write(self, text):
        self.begun.set()
        self.may_end.wait(20)
        self.written.append(text)

    def flush(self):
        pass


class LoggingStream(SlowStream):
    """A stream that logs while it writes, as finalizers do wherever the collector of garbage runs."""

    def __init__(self):
        super().__init__()
        self.may_end.set()

    def write(self, text):
        super().write(text)
        if len(self.written) == 1:
            logger("asyncio").error("a task was destroyed")


def test_what_is_logged_in_the_middle_of_a_write_is_written_behind_it(configure, monkeypatch):
    stream = LoggingStream()
    monkeypatch.setattr("sys.stderr", stream)
    configure()
    # a daemon, or a handler that waits for itself would keep the tests from ending
    thread = threading.Thread(target=logger().info, args=("first",), daemon=True)
    thread.start()
    thread.join(20)

    assert [line.rpartition(" ")[2].strip() for line in stream.written] == ["first", "destroyed"]


@pytest.fixture
def slow(configure, monkeypatch):
    stream = SlowStream()
    monkeypatch.setattr("sys.stderr", stream)
    configure()
    yield stream
    stream.may_end.set()


def test_a_thread_does_not_wait_for_another_one_that_writes_its_line(slow):
    first = threading.Thread(target=logger().info, args=("first",))
    first.start()
    slow.begun.wait(20)
    logger().info("second")
    logger().info("third")
    told_meanwhile = list(slow.written)
    slow.may_end.set()
    first.join()

    assert told_meanwhile == []
    assert [text.split()[-1] for text in slow.written] == ["first", "third"]
    assert [line.split()[-1] for line in "".join(slow.written).splitlines()] == ["first", "second", "third"]


def test_a_warning_is_written_when_it_is_told(slow):
    first = threading.Thread(target=logger().info, args=("first",))
    first.start()
    slow.begun.wait(20)
    second = threading.Thread(target=logger().warning, args=("second",))
    second.start()
    slow.may_end.set()
    second.join()
    told = "".join(slow.written)
    first.join()

    assert "second" in told


def test_no_more_than_a_thousand_lines_wait_where_nobody_reads_them(slow, monkeypatch):
    class Lock:
        """Lets the stream go on when a thread begins to wait for the one that writes."""

        def acquire(self, blocking):
            if blocking:
                slow.may_end.set()
            return held.acquire(blocking=blocking)

        def release(self):
            held.release()

    first = threading.Thread(target=logger().info, args=("first",))
    first.start()
    slow.begun.wait(20)
    handler = next(each for each in logging.root.handlers if isinstance(each, log_output.LineHandler))
    held = handler._writing
    monkeypatch.setattr(handler, "_writing", Lock())
    for number in range(1500):
        logger().info("%d", number)
    slow.may_end.set()
    first.join()

    assert sum(text.count("\n") for text in slow.written) == 1501
    assert max(text.count("\n") for text in slow.written) <= 1000


def test_lines_of_many_threads_are_whole_and_all_there(configure, lines):
    configure()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: logger().info("line %d of many", number), range(2000)))

    numbers = [int(line.split()[-3]) for line in lines() if line.endswith(" of many")]
    assert sorted(numbers) == list(range(2000))


def test_a_line_begins_with_the_time_of_its_call(configure, lines):
    def record(created):
        told = {"name": "actorc.storage", "levelno": logging.INFO, "msg": "told"}
        return logging.makeLogRecord(told | {"created": created, "msecs": created % 1 * 1000})

    configure()
    moments = [0.0, 0.25, 1.75, 0.0]
    for each in moments:
        logger().handle(record(each))

    assert [line.split(" Level ")[0] for line in lines()] == [
        time.strftime(f"%Y-%m-%d %H:%M:%S,{int(each % 1 * 1000):03d}", time.localtime(each)) for each in moments
    ]


def test_a_call_is_one_object_with_its_fields(configure, lines):
    configure(log_format="json")
    AccessLog().record(CALL)
    (line,) = lines()
    found = json.loads(line)

    assert line.isascii()
    assert found.pop("time").endswith("Z")
    assert isinstance(found.pop("process"), int)
    assert found == {
        "level": "info",
        "logger": "actorc.storage.server.access",
        "message": "PutObject OK",
        "method": "PutObject",
        "status": "OK",
        "bucket": "bucket",
        "key": HOSTILE,
        "bytes": 5,
        "ms": 1.3,
        "request": "id",
        "peer": "ipv4:127.0.0.1:1",
        "by": "-",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_text_of_a_stranger_begins_a_line_or_drives_a_terminal(configure, lines, log_format):
    configure(log_format=log_format)
    logger().warning("%s is wrong", HOSTILE)
    AccessLog().record(CALL)
    found = lines()

    assert len(found) == 2
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_text_of_ten_megabytes_is_cut(configure, lines, log_format):
    configure(log_format=log_format)
    logger().warning("%s", "x" * 10_000_000)
    log_failure("y" * 10_000_000, "failed")

    assert sum(map(len, lines())) < 100_000


def test_a_traceback_is_a_field_of_its_own(configure, lines):
    configure(log_format="json")
    log_failure("broken", "a call failed")
    (line,) = map(json.loads, lines())

    assert line["message"] == "a call failed"
    assert line["exception"].endswith("ValueError: broken")


def test_a_traceback_in_text_has_lines_and_nothing_else_of_its_message(configure, lines):
    configure()
    log_failure("\x1b[2J", "a call failed")
    found = lines()

    assert found[1] == "Traceback (most recent call last):"
    assert found[-1] == r"ValueError: \x1b[2J"


def test_the_access_log_can_be_turned_off_alone(configure, lines):
    configure(log_format="json", access_log=False)
    AccessLog().record(CALL)
    logger().info("serving")

    assert [json.loads(line)["message"] for line in lines()] == ["serving"]


def test_only_what_has_the_level_is_logged(configure, lines):
    configure(log_format="json", log_level="warning")
    AccessLog().record(CALL)
    logger().info("serving")
    logger().warning("damage")

    assert [json.loads(line)["message"] for line in lines()] == ["damage"]


def test_libraries_never_tell_details(configure, lines):
    configure(log_format="json", log_level="debug")
    logger("aiohttp.server").debug("Authorization: secret")
    logger().debug("detail")

    assert [json.loads(line)["message"] for line in lines()] == ["detail"]


def test_warnings_and_ended_threads_are_lines_as_well(configure, lines):
    configure(log_format="json")
    with warnings.catch_warnings():
        # as outside of tests, where warnings are no errors
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    thread = threading.Thread(target=lambda: 1 / 0, name="scrubber")
    thread.start()
    thread.join()
    warned, ended = map(json.loads, lines())

    assert "DeprecationWarning: old" in warned["message"]
    assert ended["message"] == "the thread scrubber ended"
    assert "ZeroDivisionError" in ended["exception"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_line_of_a_server_and_of_its_workers_is_an_object(run, connect, tmp_path, workers):
    given = ("--listen", "127.0.0.1:0", "--http", "off", "--data", str(tmp_path / "data"), "--workers", str(workers))
    process = run("-m", "actorc.storage.server", *given, "--auto-create-buckets", "--log-format", "json")
    address = json.loads(process.said("serving file:"))["message"].rpartition(" on ")[2]
    connect(address).put("bucket", "a\nb", b"data")
    call = json.loads(process.said("PutObject"))
    process.process.terminate()
    rest = process.process.stderr.read().splitlines()

    assert [(call["bucket"], call["key"], call["status"])] == [("bucket", "a\nb", "OK")]
    assert {"time", "level", "logger", "message"} <= set.intersection(
        *map(set, map(json.loads, [*process.lines, *rest]))
    )
    assert (call["process"] == process.process.pid) == (workers == 1)


@pytest.mark.slow
def test_workers_log_from_the_level_and_without_calls(run, connect, tmp_path):
    given = ("--listen", "127.0.0.1:0", "--http", "off", "--data", str(tmp_path / "data"), "--workers", "2")
    process = run("-m", "actorc.storage.server", *given, "--auto-create-buckets", "--no-access-log")
    raw = connect(process.address())
    raw.put("bucket", "key", b"data")
    assert raw.get("bucket", "key") == b"data"
    process.process.terminate()

    assert "PutObject" not in process.process.stderr.read() + "".join(process.lines)
