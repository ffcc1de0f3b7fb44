from __future__ import annotations

import json
import signal

import psutil
import pytest

PIPELINE = """
from lucas import Workflow, function, workflow
from actorc.controller import ActorContext, ActorExecutor, ActorFunction

context = ActorContext.createContext()

@function(wrapper=ActorFunction, provider="actor")
def where(params):
    import os
    return [os.getpid(), os.getppid(), params["text"]]

@workflow(executor=ActorExecutor)
def pipeline(wf: Workflow):
    return wf.call("where", {"text": wf.input()["text"]})

import os, sys
print(os.getpid(), *pipeline.export()({"text": "there"}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def controller(lucas_storage):
    """Start a controller and return it with what it tells clients."""

    def start(*arguments, **options):
        process = lucas_storage.start("controller", "--listen", "127.0.0.1:0", "--json", *arguments, **options)
        return process, json.loads(process.stdout.readline())

    return start


def without(*names):
    return dict.fromkeys(names, "")


@pytest.mark.slow
def test_a_script_on_the_actor_platform_gets_a_controller_that_ends_with_it(beside_server):
    beside_server.script(PIPELINE)
    running = beside_server.start("run", "script.py", env=without("IGNIS_ADDR", "MASTER_ADDR"))
    line = running.stdout.readline()
    here, worker, controller, text = line.split() if line else pytest.fail(running.stderr.read())
    processes = [psutil.Process(int(worker)), psutil.Process(int(controller))]
    _, said = running.communicate("")

    assert len({here, worker, controller}) == 3
    assert text == "there"
    assert psutil.wait_procs(processes, 20)[1] == []
    assert (running.returncode, said) == (0, "")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_killed_script_takes_its_controller_along(lucas_storage):
    lucas_storage.script(PIPELINE)
    running = lucas_storage.start("run", "script.py", env=without("IGNIS_ADDR", "MASTER_ADDR"))
    processes = [psutil.Process(int(pid)) for pid in running.stdout.readline().split()[1:3]]
    running.kill()

    assert psutil.wait_procs(processes, 20)[1] == []


@pytest.mark.slow
def test_a_script_without_the_actor_platform_gets_no_controller(beside_server):
    beside_server.script(
        """
        import psutil, sys
        from lucas import function
        started = [each.cmdline() for each in psutil.Process().children()]
        print(any("actorc.controller.local" in line for line in started), "grpc" in sys.modules)
        """
    )
    ran = beside_server.run("run", "script.py")

    assert ran.stdout == "False False\n", ran.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_scripts_use_the_controller_that_the_environment_names(lucas_storage, controller):
    process, told = controller(env=without("APP_ID"))
    lucas_storage.script(PIPELINE)
    running = lucas_storage.start("run", "script.py", env=told)
    said = running.communicate("")
    _, _, parent, _ = said[0].split()
    process.send_signal(signal.SIGINT)
    process.communicate()

    assert int(parent) == process.pid
    assert process.returncode == 0


@pytest.mark.thorough
@pytest.mark.slow
def test_a_script_with_an_id_that_is_not_served_is_told_so(lucas_storage, controller):
    ids = lucas_storage.folder / "ids"
    ids.write_text("one\n\n  two\n")
    _, told = controller("--app-id-file", ids)
    lucas_storage.script(PIPELINE)
    refused = lucas_storage.run("run", "script.py", env={**told, "APP_ID": "three"}, stdin=None)
    accepted = lucas_storage.run("run", "script.py", env={**told, "APP_ID": "two"}, stdin=None)

    assert "APP_ID" not in told
    assert "does not serve that application" in refused.stderr
    assert "three" not in refused.stderr
    assert accepted.returncode == 0, accepted.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_without_json_a_shell_can_take_what_is_told(lucas_storage):
    process = lucas_storage.start("controller", "--listen", "127.0.0.1:0", env=without("APP_ID"))
    lines = [process.stdout.readline() for _ in range(3)]
    process.terminate()
    rest, said = process.communicate()

    names, values = zip(*(line.removeprefix("export ").strip().split("=") for line in lines), strict=True)
    assert names == ("IGNIS_ADDR", "MASTER_ADDR", "APP_ID")
    assert values[0] == values[1]
    assert (process.returncode, rest, said) == (0, "", "")


@pytest.mark.slow
def test_an_id_in_the_environment_is_told_with_the_rest(controller):
    _, told = controller(env={"APP_ID": "mine"})

    assert told["APP_ID"] == "mine"
    assert told["MASTER_ADDR"] == told["IGNIS_ADDR"]


@pytest.mark.parametrize(
    ("told", "said"), [("soon", "'soon' (from IGNIS_CALL_TIMEOUT)"), ("-1", "'-1' (from IGNIS_CALL_TIMEOUT)")]
)
def test_an_environment_that_makes_no_sense_is_refused_in_one_line(invoke, monkeypatch, told, said):
    monkeypatch.setenv("IGNIS_CALL_TIMEOUT", told)
    result = invoke("controller")

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:0"], "is reachable from other machines"),
        (["--listen", "here"], "is no address to listen on"),
        (["--max-workers", "0"], "0 workers are too few"),
        (["--call-timeout", "0"], "0 is no time for a call"),
        (["--call-timeout", "inf"], "inf is no time for a call"),
        (["--app-id-file", "empty"], "empty names no application"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(invoke, arguments, said, tmp_path):
    (tmp_path / "empty").touch()
    result = invoke("controller", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
