"""The connection: made when it is needed, lost with an error, made again, and gone with the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import lucas
import psutil
import pytest

import lucas_storage
from actorc.controller import ActorContext, ActorExecutor, ActorFunction
from actorc.controller.client.address import start_when_needed
from actorc.controller.client.calls import Calls
from actorc.controller.client.session import grpc_stream
from actorc.controller.client.session.grpc_stream import Stream
from actorc.controller.client.session.outbox import Outbox
from actorc.controller.errors import AddressError, ControllerError, ControllerUnavailableError, RemoteFunctionError
from actorc.controller.local import LocalController
from actorc.controller.lucas.functions import named

ROOT = Path(lucas_storage.__file__).parents[1]
SECONDS = 30
PRELUDE = """
import os, sys
from lucas_storage.embedded import install
install()
from lucas import function
from actorc.controller import ActorContext, ActorFunction
@function(wrapper=ActorFunction, provider="actor", venv="tests")
def where():
    return os.getpid()
"""


def in_child(code, controller, app_id, *arguments):
    """Run a script that uses the controller; return what it printed, and assert that it complained of nothing."""
    done = subprocess.run(
        # Python warns of each fork beside threads since 3.12; that it works here is what is tested
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", PRELUDE + code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "IGNIS_ADDR": controller.address, "APP_ID": app_id},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def made():
    """Make contexts that are closed at the end."""
    contexts = []

    def make(*args, **kwargs):
        contexts.append(ActorContext.createContext(*args, **kwargs))
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def echo():
    """A function for the platform, registered for no context."""

    @lucas.function(wrapper=ActorFunction, provider="actor", venv="tests")
    def echo(x):
        return x

    return echo.export()


def test_importing_the_context_loads_no_grpc():
    code = PRELUDE + "ActorContext.createContext()\nprint([name for name in ('grpc', 'google') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )

    assert done.stdout == b"[]\n", done.stderr


def test_without_lucas_the_error_says_what_to_do():
    code = "import actorc.controller.client.address, actorc.controller.local\nimport actorc.controller.context"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )

    assert b"ImportError: actorc.controller needs Lucas, which is not importable here; clone its" in done.stderr


def test_there_is_one_context(made):
    first = made("localhost:1", "one")

    assert made() is first
    assert made("localhost:1") is first
    assert made(ignis_address="localhost:1") is first
    assert made("localhost:2") is not first


def test_a_wrong_address_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("IGNIS_ADDR", "somewhere")

    with pytest.raises(AddressError, match=r"'somewhere' \(from IGNIS_ADDR\) is not the address of a controller"):
        ActorContext.createContext()


def test_a_closed_context_is_followed_by_another(made, echo, free_port):
    first = made(f"localhost:{free_port}")
    first.close()
    second = made(f"localhost:{free_port}")

    assert first is not second
    with pytest.raises(ControllerError, match="this context was closed"):
        Calls(first._connection).call(named("echo"), {"x": 1})


def test_a_run_holds_on_to_its_connection(context, echo):
    with Calls() as calls:
        context.close()

        with pytest.raises(ControllerError, match="this context was closed"):
            calls.call(named("echo"), {"x": 1})


def test_a_refused_connection_names_the_address_and_its_origin(made, echo, free_port, monkeypatch):
    monkeypatch.setenv("IGNIS_ADDR", f"127.0.0.1:{free_port}")
    made()

    with pytest.raises(ControllerUnavailableError) as caught:
        echo({"x": 1})

    assert f"the controller cannot be reached at 127.0.0.1:{free_port} (from IGNIS_ADDR)" in str(caught.value)
    assert (caught.value.address, caught.value.origin) == (f"127.0.0.1:{free_port}", "IGNIS_ADDR")
    assert isinstance(caught.value, ConnectionError)


def test_a_foreign_application_id_is_refused_and_not_shown(made, echo, controller):
    made(controller.address, "a stranger")

    with pytest.raises(ControllerUnavailableError, match="from the app_id argument") as caught:
        echo({"x": 1})

    assert "a stranger" not in str(caught.value)


def test_an_application_id_in_use_is_refused(made, echo, controller, connect, monkeypatch):
    assert connect(controller.address).register("tests.taken") == ""
    monkeypatch.setenv("APP_ID", "tests.taken")
    made(controller.address)

    with pytest.raises(
        ControllerUnavailableError, match=r"in use by another session.*The application id is from APP_ID"
    ):
        echo({"x": 1})


@pytest.mark.slow
def test_a_started_controller_that_is_killed_is_started_again(echo):
    started = []

    def start():
        started.append(LocalController())
        return started[-1].address, started[-1].app_id

    start_when_needed(start)
    context = ActorContext.createContext()
    try:
        assert echo({"x": 1}) == 1
        psutil.Process(started[0].pid).kill()
        session = context._connection.session()
        session._stream.reader.join(SECONDS)

        assert echo({"x": 2}) == 2
        assert len(started) == 2
    finally:
        context.close()
        start_when_needed(None)
        for controller in started:
            controller.close()


def test_a_result_of_a_lost_connection_says_so(context, actor):
    @actor
    def same(x):
        return x

    with Calls() as calls:
        kept = calls.call(named("same"), {"x": 1})
        context._connection.session().close()

        with pytest.raises(ControllerUnavailableError, match="the result of 'same' is gone with the connection"):
            calls.call(named("same"), {"x": kept})
        with pytest.raises(ControllerUnavailableError, match="the connection to the controller was lost"):
            calls.fetched(kept)
        assert calls.fetched(calls.call(named("same"), {"x": 2})) == 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_has_a_session_of_its_own_and_both_processes_end_silently(controller):
    code = """
first = where.export()()
child = os.fork()
if child == 0:
    print(where.export()() > 0, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
print(status, where.export()() == first)
"""
    assert in_child(code, controller, "tests.forking") == ["True", "0", "True"]


def test_a_fork_does_not_wait_for_a_stream_that_has_ended(controller):
    outbox, ended = Outbox(), threading.Event()
    stream = Stream(controller.address, outbox, receive=lambda _: None, end=lambda _: ended.set())
    assert outbox in grpc_stream._fork_pause._outboxes

    stream._call.cancel()

    assert ended.wait(SECONDS)
    assert outbox not in grpc_stream._fork_pause._outboxes
    outbox.close()
    stream.close()


def test_a_fork_waits_for_what_is_being_sent_and_nothing_more_is_before_it_is_over():
    outbox, taken = Outbox(), []
    outbox.put((b"first",))
    next(outbox)
    assert not outbox.pause(0)

    sender = threading.Thread(target=lambda: taken.append(next(outbox)))
    sender.start()
    assert outbox.pause(SECONDS)
    outbox.put((b"second",))
    assert taken == []
    outbox.resume()
    sender.join(SECONDS)
    assert taken == [(b"second",)]


@pytest.mark.slow
def test_a_process_ends_silently_in_the_middle_of_a_call(controller, tmp_path):
    code = """
@function(wrapper=ActorFunction, provider="actor", venv="tests")
def endless(path):
    open(path, "w").close()
    import threading
    threading.Event().wait()
import threading
threading.Thread(target=endless.export(), args=({"path": sys.argv[1]},), daemon=True).start()
open(sys.argv[1]).close()
print("over")
"""
    os.mkfifo(tmp_path / "started")  # whoever opens one end waits for who opens the other

    assert in_child(code, controller, "tests.hurried", str(tmp_path / "started")) == ["over"]


@pytest.mark.slow
def test_sessions_leave_nothing_behind(controller, made):
    @lucas.function(wrapper=ActorFunction, provider="actor", venv="tests", dependency=["no-such-thing-0123"])
    def refused():
        """Is answered without a process being started for it."""

    def once():
        context = made(controller.address, f"tests.{os.urandom(4).hex()}")
        with pytest.raises(RemoteFunctionError, match="no-such-thing-0123"):
            refused.export()()
        context.close()

    once()
    process = psutil.Process()
    threads, files = set(threading.enumerate()), process.num_fds()
    for _ in range(10):
        once()
    since = set(threading.enumerate()) - threads

    # one that still held a lock of gRPC's at the end of the process would let it wait for ever
    assert {thread.name for thread in since} <= {"controller deadlines"}
    for thread in since:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert process.num_fds() < files + 10  # gRPC closes some of them a little later


@pytest.mark.thorough
@pytest.mark.slow
def test_a_thousand_calls_leave_nothing_behind(context, echo):
    echo({"x": 0})
    process = psutil.Process()
    threads, files = threading.active_count(), process.num_fds()

    results = [echo({"x": x}) for x in range(1000)]

    assert results == list(range(1000))
    assert (threading.active_count(), process.num_fds()) == (threads, files)


def test_a_workflow_without_a_context_uses_the_environment(controller, made, echo, monkeypatch):
    monkeypatch.setenv("IGNIS_ADDR", controller.address)
    monkeypatch.setenv("APP_ID", "tests.implicit")

    @lucas.workflow(executor=ActorExecutor)
    def implicit(wf):
        return wf.call("echo", {"x": 3})

    value = implicit.export()({})
    made()

    assert value == 3
