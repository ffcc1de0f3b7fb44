"""`timeout=`: an attempt runs in a process of its own, which is killed, with all that it started, when it is late."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import ArtifactNotFoundError, StepProcessError, StepTimeoutError, StorageError
from lucas_storage.records import run_history
from lucas_storage.storage import handles

pytestmark = [pytest.mark.usefixtures("settings", "empty_registry"), pytest.mark.slow]  # a process for each attempt

LONG = 60
"""Seconds that nothing below takes, unless it fails."""
LATE = 1.5
"""Seconds after which what never ends is late; before that it does what the test looks at."""


def timed(body, seconds=LONG, **options):
    return with_storage(timeout=seconds, **options)(body)


def is_running(pid):
    """Return whether a process runs; one that ended stays in the table until its parent has looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def hang():
    """Never return, and heed no signal that can be ignored."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    while True:
        time.sleep(LONG)


def marked(file):
    """Add a letter to a file, and return how many there are."""
    with Path(file).open("a") as log:
        log.write("x")
    return Path(file).stat().st_size


class OwnError(Exception):
    def __init__(self, message, detail=None):
        super().__init__(message)
        self.detail = detail


class TwoArgumentsError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def test_values_arrive_and_results_leave_as_without_a_timeout(storage):
    def doubled(x: np.ndarray, file: Path, names: list, default: int = 3) -> dict:
        return {"x": x * default, "text": file.read_text(), "names": (*names, os.getpid())}

    array, file = storage.put(np.arange(3)).to_json(), storage.put(b"content").to_json()
    out = timed(doubled)(x=array, file=file, names=["a"])

    assert ArtifactRef.parse(out["x"]).load().tolist() == [0, 3, 6]
    assert (out["text"], out["names"][0]) == ("content", "a")
    assert out["names"][1] != os.getpid()


def test_a_late_attempt_is_killed_with_all_that_it_started_and_the_error_says_so(tmp_path):
    def late(folder: str, storage: Storage):
        (Path(folder) / "scratch").write_text(str(storage.scratch()))
        (Path(folder) / "other").write_text(str(subprocess.Popen(["sleep", str(LONG)]).pid))
        (Path(folder) / "own").write_text(str(os.getpid()))
        hang()

    with pytest.raises(
        StepTimeoutError, match=r"'late', it took longer than 1.5 s, and its process was killed"
    ) as raised:
        timed(late, LATE)(folder=str(tmp_path))
    found = {file.name: file.read_text() for file in tmp_path.iterdir()}

    assert isinstance(raised.value, TimeoutError)
    assert isinstance(raised.value, StorageError)
    assert (raised.value.function, raised.value.seconds) == ("late", LATE)
    assert not is_running(found["own"])
    wait_until(lambda: not is_running(found["other"]))
    assert not Path(found["scratch"]).parent.exists()


def test_the_traceback_of_a_late_step_ends_where_the_user_called_it():
    late = timed(hang, LATE)

    with pytest.raises(StepTimeoutError) as raised:
        late()

    assert [entry.name for entry in raised.traceback] == [
        test_the_traceback_of_a_late_step_ends_where_the_user_called_it.__name__
    ]


def test_code_that_never_lets_the_interpreter_go_is_killed():
    def stuck():
        re.match(r"(a+)+$", "a" * 50 + "b")

    with pytest.raises(StepTimeoutError):
        timed(stuck, timedelta(seconds=LATE))()


def test_the_next_attempt_begins_where_a_late_one_left_its_checkpoint():
    def trains(storage: Storage) -> int:
        checkpoint = storage.checkpoint()
        if checkpoint.load(default=None) is None:
            checkpoint.save({"epoch": 7})
            hang()
        return checkpoint.load()["epoch"]

    assert timed(trains, 5, retries=1, backoff=0)() == 7


def test_an_error_comes_back_as_its_own_class_with_the_traceback_of_the_other_process():
    def failing():
        try:
            {}["cause"]
        except KeyError as cause:
            error = OwnError("x" * 10, detail={"a": 1})
            error.add_note("a note")
            raise error from cause

    with pytest.raises(OwnError) as raised:
        timed(failing)()

    assert (raised.value.args, raised.value.detail, raised.value.__notes__) == (("x" * 10,), {"a": 1}, ["a note"])
    assert "raise error from cause" in str(raised.value.__cause__)
    assert "KeyError: 'cause'" in str(raised.value.__cause__)
    assert "child_attempt" not in str(raised.value.__cause__)


def test_an_error_that_cannot_be_unpickled_is_told_by_its_name_and_text():
    def failing():
        raise TwoArgumentsError("the text", 2)

    with pytest.raises(StepProcessError, match=r"raised TwoArgumentsError \(the text\)") as raised:
        timed(failing)()

    assert 'raise TwoArgumentsError("the text", 2)' in str(raised.value.__cause__)


def test_an_error_whose_unpickling_exits_ends_no_process_but_its_own():
    class ExitingError(Exception):
        def __reduce__(self):
            return sys.exit, (3,)

    def failing():
        raise ExitingError("the text")

    with pytest.raises(StepProcessError, match=r"raised ExitingError \(the text\)"):
        timed(failing)()


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os._exit(3), "exited with status 3"),
        (lambda: os.closerange(3, 100), "exited with status 0|closed its connection"),
    ],
)
def test_a_process_that_ends_by_itself_is_an_error_that_says_how(end, told):
    def ending():
        end()

    with pytest.raises(StepProcessError, match=told):
        timed(ending)()


def test_a_process_that_died_is_attempted_again(tmp_path):
    def crashes(file: str) -> str:
        if marked(file) < 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        return Path(file).read_text()

    assert timed(crashes, retries=2, backoff=0)(file=str(tmp_path / "file")) == "xxx"


def test_an_exit_that_the_function_asks_for_is_its_own_and_final():
    def leaves():
        sys.exit("enough")

    with pytest.raises(SystemExit, match="enough"):
        timed(leaves, retries=3)()


def test_arguments_that_cannot_be_loaded_fail_at_once_as_what_they_are(storage, caplog):
    def step(file: Path): ...

    gone = storage.put(b"x" * 10_000)
    storage.delete_object(gone.bucket, gone.key)

    with pytest.raises(ArtifactNotFoundError) as raised:
        timed(step, retries=3)(file=gone.to_json())
    assert (raised.value.function, raised.value.param) == ("step", "file")
    assert caplog.records == []


def test_a_function_that_forks_returns_once():
    def forks() -> int:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return 5

    assert timed(forks)() == 5


def test_a_function_may_close_its_output():
    def closes() -> int:
        sys.stdout.close()
        os.close(2)
        return 5

    assert timed(closes)() == 5


def test_much_output_reaches_the_stream_that_stands_for_standard_output():
    def prints() -> int:
        print("é" * 5_000_000)
        print("err", file=sys.stderr)
        return 1

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert timed(prints)() == 1

    assert out.getvalue() == "é" * 5_000_000 + "\n"
    assert err.getvalue() == "err\n"


def test_output_reaches_the_descriptors_of_this_process(capfd):
    def prints():
        print("from the function", flush=True)
        os.write(2, b"from below")

    timed(prints)()

    assert capfd.readouterr() == ("from the function\n", "from below")


def test_what_a_killed_process_printed_is_not_lost(capfd):
    def prints():
        print("a line")
        hang()

    with pytest.raises(StepTimeoutError):
        timed(prints, LATE)()

    assert capfd.readouterr().out == "a line\n"


def test_records_of_the_log_reach_the_handlers_of_this_process(caplog):
    def logs():
        logger = logging.getLogger("of.the.function")
        logger.debug("not asked for")
        logger.info("%s of %d", "one", 2, extra={"lock": threading.Lock()})
        try:
            int("in the log")
        except ValueError:
            logger.exception("failed")

    with caplog.at_level(logging.INFO, "of.the.function"):
        timed(logs)()

    assert [record.getMessage().partition("\n")[0] for record in caplog.records] == ["one of 2", "failed"]
    assert "ValueError: invalid literal" in caplog.text


def test_generators_and_coroutines_run_in_the_process():
    def counts(n: int) -> Iterator[int]:
        yield from range(n)
        yield os.getpid()

    async def awaited() -> int:
        return os.getpid()

    first = list(ArtifactRef.parse(timed(counts)(n=2)).load())

    assert (first[:2], first[2] != os.getpid()) == ([0, 1], True)
    assert timed(awaited)() != os.getpid()


def test_streams_and_objects_that_were_passed_directly_arrive():
    def step(items: Iterator[int], more: object) -> list:
        return [*items, more.detail]

    assert timed(step)(items=iter([1, 2]), more=OwnError("m", detail=3)) == [1, 2, 3]


def test_settings_run_and_step_hold_in_the_process(storage):
    def step(storage: Storage) -> bytes:
        return f"{storage.bucket}".encode() * 10_000

    function(name="step")(timed(step))

    @workflow
    def flow(wf):
        return wf.call("step", {})

    with storage_context(bucket="another-bucket"):
        ref = run(flow, materialize=False)
        assert ref.load()[:14] == b"another-bucket"
        (past,) = run_history.recent(Storage(), 1)

    assert (ref.bucket, ref.run) == ("another-bucket", past.key)


def test_all_attempts_of_a_timed_step_are_in_the_record(storage, tmp_path):
    def step(file: str) -> int:
        attempt = marked(file)
        if attempt == 1:
            hang()
        if attempt == 2:
            raise OwnError("second")
        return 3

    function(name="step")(timed(step, 5, retries=2, backoff=0))

    @workflow
    def flow(wf):
        return wf.call("step", {"file": wf.input()["file"]})

    assert run(flow, {"file": str(tmp_path / "file")}) == 3
    (past,) = run_history.find(storage, "last").steps

    assert [attempt.error for attempt in past.attempts] == ["StepTimeoutError", "OwnError", None]


def test_steps_that_a_timed_step_calls_are_in_the_record_of_the_run(storage, tmp_path):
    @with_storage
    def inner(x: np.ndarray) -> np.ndarray:
        return x + 1

    @with_storage(retries=1, backoff=0)
    def failing(n: int) -> int:
        raise OwnError(f"no {n}")

    def outer(x: np.ndarray) -> dict:
        with contextlib.suppress(OwnError):
            failing(n=3)
        return {"out": ArtifactRef.parse(inner(x=x)), "pid": os.getpid()}

    function(name="outer")(timed(outer))

    @workflow
    def flow(wf):
        return wf.call("outer", {"x": wf.input()["x"]})

    with storage_context(openlineage_file=tmp_path / "events.json"):
        out = run(flow, {"x": np.arange(20_000)}, materialize=False)["out"]
    past = run_history.find(storage, "last")
    steps = {step.function: step for step in past.steps}

    assert set(steps) == {"outer", "failing", "inner"}
    assert [steps[name].after for name in ("failing", "inner")] == [(steps["outer"].key,)] * 2
    assert [mention.ref.digest for mention in steps["inner"].outputs] == [out.digest]
    assert "return x + 1" in steps["inner"].source.load()
    assert "def outer" not in steps["inner"].source.load()
    assert len({step.version for step in past.steps}) == 3
    assert (steps["failing"].error, steps["failing"].message) == ("OwnError", "no 3")
    assert [attempt.error for attempt in steps["failing"].attempts] == ["OwnError"] * 2
    assert out.run == past.key
    events = map(json.loads, (tmp_path / "events.json").read_text().splitlines())
    told = {(event["job"]["name"], event["eventType"]): event["eventTime"] for event in events}
    assert told["flow.failing", "START"] <= told["flow.failing", "FAIL"] <= told["flow.inner", "START"]


def test_a_timed_step_is_killed_when_its_run_fails(tmp_path):
    def long(file: str) -> None:
        Path(file).write_text(str(os.getpid()))
        hang()

    def failing(file: str) -> None:
        wait_until(lambda: Path(file).exists() and Path(file).read_text())
        raise OwnError("the run fails")

    function(name="long")(timed(long, 600, retries=3))
    function(name="failing")(with_storage(failing))

    @workflow
    def flow(wf):
        file = wf.input()["file"]
        return [wf.call("long", {"file": file}), wf.call("failing", {"file": file})]

    with pytest.raises(OwnError):
        run(flow, {"file": str(tmp_path / "own")})

    wait_until(lambda: not is_running((tmp_path / "own").read_text()))


def test_a_cached_result_of_a_timed_step_is_reused(tmp_path):
    def step(file: str) -> int:
        return marked(file)

    cached = timed(step, cache=True, version="1")

    assert (cached(file=str(tmp_path / "a")), cached(file=str(tmp_path / "a"))) == (1, 1)
    assert (tmp_path / "a").read_text() == "x"


def test_a_function_that_cannot_be_pickled_runs_here_and_its_late_result_is_dropped(caplog):
    begun, go_on, ended, lock = [], threading.Event(), threading.Event(), threading.Lock()

    def late(storage: Storage) -> int:
        with lock:
            begun.append(storage.scratch())
        go_on.wait(LONG)
        ended.set()
        return 5

    with pytest.raises(StepTimeoutError, match="goes on without a result"):
        timed(late, LATE, retries=3, backoff=0)()
    assert [folder.exists() for folder in begun] == [True]
    go_on.set()
    assert ended.wait(LONG)
    wait_until(lambda: not begun[0].exists())
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "'late' has no process of its own and cannot be killed when it is late"
    ]


def test_a_function_whose_pickling_fails_with_an_error_that_cannot_be_shown_runs_here(caplog):
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError("not to be shown")

    class Unpicklable:
        def __reduce__(self):
            raise SilentError

    held = Unpicklable()

    def call() -> int:
        return 5 if held else 0

    assert timed(call)() == 5
    assert "its message cannot be shown" in caplog.text


def test_an_argument_that_cannot_travel_is_passed_in_this_process():
    lock = threading.Lock()

    def step(given: object) -> bool:
        return given is lock

    assert timed(step)(given=lock) is True


def test_a_step_whose_handles_are_replaced_writes_through_them(storage):
    asked = []

    def handle(name):
        asked.append(name)
        return storage

    def step() -> bytes:
        return b"x" * 10_000

    with handles(handle):
        assert ArtifactRef.parse(timed(step)()).size == 10_000
    assert asked == ["default"]


def test_errors_and_retries_are_the_same_in_this_process():
    calls, lock = [], threading.Lock()

    def flaky() -> int:
        with lock:
            calls.append(1)
        if len(calls) < 3:
            raise OwnError("not yet")
        return 1

    assert timed(flaky, retries=2, backoff=0)() == 1
    assert len(calls) == 3


FLAGS = """
import sys
from lucas_storage import with_storage

@with_storage(timeout=60)
def flags(n: int) -> list:
    assert n
    return [sys.flags.optimize, sys.flags.no_user_site, "ignore::UserWarning" in sys.warnoptions, sys.argv[1:]]

print(flags(n=0))
"""


def test_options_and_arguments_of_the_interpreter_hold_in_the_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(FLAGS)
    command = [sys.executable, "-OO", "-s", "-Wignore::UserWarning", str(script), "argument"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=True)

    assert told.stdout == "[2, 1, True, ['argument']]\n"


SCRIPT = """
import os, signal, subprocess, sys, time
from pathlib import Path
from lucas_storage import with_storage

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does not have

@with_storage(timeout=600)
def step(folder: str):
    other = subprocess.Popen(["sleep", "600"])
    Path(folder, "other").write_text(str(other.pid))
    Path(folder, "own").write_text(str(os.getpid()))
    time.sleep(600)

step(folder=sys.argv[1])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_process_of_a_step_ends_with_its_parent_however_that_ends(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)  # without `if __name__ == "__main__"`
    # A process that is killed leaves its temporary directories.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.PIPE, env=environment)
    own, other = tmp_path / "own", tmp_path / "other"
    try:
        wait_until(lambda: own.exists() and own.read_text())
        parent.send_signal(how)
        _, told = parent.communicate(timeout=LONG)
    finally:
        parent.kill()

    assert parent.returncode == -how
    assert (how == signal.SIGINT) == (b"KeyboardInterrupt" in told)
    wait_until(lambda: not is_running(own.read_text()) and not is_running(other.read_text()))
