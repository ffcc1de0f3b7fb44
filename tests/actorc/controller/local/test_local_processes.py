"""How the processes of the embedded controller begin and end, and what they leave behind: nothing."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cloudpickle
import psutil
import pytest

from actorc.controller.local import LocalController
from actorc.controller.local.worker_process import WorkerProcess, WorkerSettings

pytestmark = pytest.mark.slow

PATIENCE = 20

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker need not import this module, and pytest with it


def sleep_with_a_child(started):
    with subprocess.Popen(["sleep", "60"]):
        open(started, "w").close()  # noqa: PTH123  # a pipe, on which the test waits


@pytest.fixture
def busy(connect, tmp_path):
    """A controller with a worker in the middle of a call that has a child of its own."""
    with LocalController(["app"]) as controller:
        session = connect(controller.address)
        session.register("app")
        session.add(sleep_with_a_child)
        started = tmp_path / "started"
        os.mkfifo(started)
        session.start("sleep_with_a_child", started=str(started))
        started.read_bytes()
        processes = psutil.Process(controller.pid).children(recursive=True)
        assert len(processes) == 2
        yield controller, processes


def all_gone(processes):
    return not psutil.wait_procs(processes, PATIENCE)[1]


def test_nothing_outlives_a_controller_that_is_closed(busy):
    controller, processes = busy
    controller.close()

    assert all_gone(processes)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough), signal.SIGKILL]
)
def test_nothing_outlives_a_controller_that_is_ended(busy, number):
    controller, processes = busy
    os.kill(controller.pid, number)

    assert all_gone(processes)


def test_a_controller_ends_with_the_process_that_started_it():
    code = """
import os, sys
from actorc.controller.local import LocalController
controller = LocalController()
print(controller.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as parent:
        controller = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    assert all_gone([controller])


def test_a_controller_is_its_starters_whatever_that_forks_closes_or_keeps_open(connect):
    code = """
import os, sys, time
from actorc.controller.local import LocalController
controller = LocalController(["app"])
for closes in (True, False):
    if not os.fork():
        if closes:
            controller.close()
        os.write(1, f"child {os.getpid()}\\n".encode())
        sys.stdin.read()
        os._exit(0)
os.write(1, f"{controller.address} {controller.pid}\\n".encode())
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as parent:
        said = [parent.stdout.readline().split() for _ in range(3)]
        ((address, controller),) = [(name, psutil.Process(int(pid))) for name, pid in said if name != "child"]
        children = [psutil.Process(int(pid)) for name, pid in said if name == "child"]
        answer = connect(address).register("app")
        parent.kill()
        ended = all_gone([controller])
        survived = [child.is_running() for child in children]

    assert answer == ""
    assert (ended, survived) == (True, [True, True])


@pytest.mark.thorough
def test_a_controller_that_is_closed_says_nothing_of_open_streams():
    code = f"""
import sys
from actorc.controller.local import LocalController
sys.path.append({str(Path(__file__).parents[1])!r})
import conftest
controller = LocalController(["app"])
unregistered = [conftest.RawSession(controller.address) for _ in range(5)]
for number in range(3):
    conftest.RawSession(controller.address).register(f"app.{{number}}")
controller.close()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (ran.stdout, ran.stderr) == ("", "")


@pytest.fixture
def ignored_children():
    """The ends of child processes are kept from this process, as somebody who starts it may have arranged."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_the_end_of_a_worker_is_noticed_though_the_system_reaped_it(ignored_children):
    async def ending():
        ended = asyncio.get_running_loop().create_future()
        settings = WorkerSettings(path=(), cwd="/")
        worker = WorkerProcess("venv", settings, lambda *_: None, ended.set_result)
        worker.kill()
        said = await asyncio.wait_for(ended, PATIENCE)
        worker.wait()
        return said

    assert asyncio.run(ending()).endswith("before it was ready")


def test_workers_of_a_process_that_ignores_its_children_end_and_make_room(ignored_children, connect):
    with LocalController(["app"], max_workers=1) as controller:
        pids = []
        for number in range(3):
            session = connect(controller.address)
            session.register(f"app.{number}")
            session.add(lambda: None, name="pid", pickled=pickle.dumps(os.getpid))
            pids.append(session.call("pid"))
            session.close()

    assert len(set(pids)) == 3


def test_a_worker_that_cannot_begin_says_why(tmp_path, capfd, connect):
    place = tmp_path / "gone"
    place.mkdir()
    with LocalController(["app"], cwd=place) as controller:
        place.rmdir()
        session = connect(controller.address)
        session.register("app")
        session.add(lambda: None, name="f")
        error = session.call("f")

    assert "before it was ready" in error
    assert f"FileNotFoundError: [Errno 2] No such file or directory: '{place}'" in capfd.readouterr().err


def test_a_worker_loads_nothing_that_it_may_never_need():
    code = """
import sys
import actorc.controller.local.worker.__main__
print([name for name in ("asyncio", "cloudpickle", "grpc", "subprocess", "tempfile") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


def test_a_session_that_ends_takes_its_idle_workers_along(fresh):
    fresh.add(lambda: None, name="pid", pickled=pickle.dumps(os.getpid))
    worker = psutil.Process(fresh.call("pid"))
    fresh.close()

    assert all_gone([worker])


@pytest.mark.thorough
def test_a_thousand_calls_leave_no_process_no_thread_and_no_descriptor(connect):
    with LocalController(["app"]) as controller:
        process = psutil.Process(controller.pid)
        session = connect(controller.address)
        session.register("app")
        session.add(lambda x: x, name="same", replicas=4)

        def run(name, calls):
            for instance in range(calls):
                session.start("same", f"{name}-{instance}", x=instance)
            results = [session.result() for _ in range(calls)]
            values = {session.value(each) for each in results}
            for instance in range(calls):
                session.done(f"{name}-{instance}")
            return values

        def present():
            return [(each.pid, each.num_fds()) for each in [process, *process.children()]]

        def threads():
            return process.num_threads(), max(each.num_threads() for each in process.children())

        run("warm", 100)
        before = present(), threads()
        values = run("real", 1000)

        assert values == set(range(1000))
        assert present() == before[0]
        assert threads()[0] == before[1][0]
        assert threads()[1] <= 3  # one reads, one runs, and one may be about to be idle


def test_the_ids_a_controller_serves_are_on_no_command_line():
    with LocalController(["a-secret-id"]) as controller:
        process = psutil.Process(controller.pid)

        assert "a-secret-id" not in str(process.cmdline()) + str(process.environ())
        assert "a-secret-id" not in repr(controller)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"listen": "0.0.0.0:0"}, "is reachable from other machines"),
        ({"listen": "[::]:0"}, "is reachable from other machines"),
        ({"listen": "example.org:0"}, "is reachable from other machines"),
        ({"listen": "here"}, "is no address to listen on"),
        ({"listen": "127.0.0.1:99999"}, "is no address to listen on"),
        ({"app_ids": [""]}, "has no application to serve"),
        ({"max_workers": 0}, "0 workers are too few"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_started(arguments, said):
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        LocalController(**arguments)


def test_a_port_that_is_taken_is_named(controller):
    with pytest.raises(ValueError, match="the port is taken or not allowed"):
        LocalController(listen=controller.address)


@pytest.mark.thorough
def test_every_name_of_loopback_will_do(connect):
    for listen in ("localhost:0", "127.0.0.2:0"):
        with LocalController(["app"], listen=listen) as controller:
            assert connect(controller.address).register("app") == ""


def test_nobody_takes_the_port_of_a_controller_that_died():
    with LocalController(["app"]) as controller:
        place = ("127.0.0.1", int(controller.address.rpartition(":")[2]))
        os.kill(controller.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(controller.pid)] if psutil.pid_exists(controller.pid) else [], PATIENCE)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(place)

    socket.create_server(place).close()
