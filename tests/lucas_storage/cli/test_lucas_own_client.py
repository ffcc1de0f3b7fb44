"""What `run` gives to the client of the actor platform that genuine Lucas has of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

LUCAS_SRC = os.environ.get("LUCAS_SRC", "")
needs_lucas = pytest.mark.skipif(not LUCAS_SRC, reason="LUCAS_SRC names no checkout of Lucas")
NOWHERE = {**dict.fromkeys(("IGNIS_ADDR", "MASTER_ADDR", "APP_ID"), ""), "STORAGE_ENDPOINT": "localhost:1"}
"""No controller, and a server that nobody asks for anything, so that none is started."""

pytestmark = pytest.mark.slow

READING = """
import os
before = [os.environ.get(name, "") for name in ("IGNIS_ADDR", "MASTER_ADDR", "APP_ID")]
import lucas
if "quiet" not in os.environ:
    import lucas.actorc.actor
print(*["-".join(before), *lucas.READ], sep="|")
"""


@pytest.fixture
def reading(lucas_storage):
    """A package that looks like Lucas, the client of which reads what Lucas's does, when it is imported."""
    for name, code in {
        "__init__.py": "READ = []",
        "workflow.py": "",
        "actorc/__init__.py": "",
        "actorc/actor.py": (
            "import os, lucas\n"
            "lucas.READ += [os.environ.get(name, '') for name in ('IGNIS_ADDR', 'MASTER_ADDR', 'APP_ID')]\n"
        ),
    }.items():
        path = lucas_storage.folder / "lucas" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    lucas_storage.script(READING)

    def run(**environment):
        ran = lucas_storage.run("run", "script.py", env={**NOWHERE, **environment})
        return *ran.stdout.strip().split("|"), ran.stderr

    return run


def test_a_controller_is_started_and_named_when_the_client_is_imported(reading):
    before, ignis, master, app_id, said = reading()

    assert before == "--", said
    assert ignis == master
    assert ignis.startswith("127.0.0.1:")
    assert app_id.startswith("app-")


@pytest.mark.thorough
def test_an_id_of_the_user_is_none_of_the_controller_that_is_started(reading):
    assert reading(APP_ID="guessable")[3].startswith("app-")


def test_without_the_client_nothing_is_started(reading):
    assert reading(quiet="1")[:1] == ("--",)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"IGNIS_ADDR": "here:1", "APP_ID": "mine"}, ("here:1", "here:1", "mine")),
        ({"MASTER_ADDR": "here:1", "APP_ID": "mine"}, ("here:1", "here:1", "mine")),
        ({"IGNIS_ADDR": "here:1", "MASTER_ADDR": "there:1", "APP_ID": "mine"}, ("here:1", "there:1", "mine")),
    ],
)
def test_what_the_user_chose_stays_and_the_rest_is_filled_in(reading, given, expected):
    assert reading(**given)[1:4] == expected


@pytest.mark.thorough
def test_a_chosen_controller_gets_an_id_if_none_was_chosen(reading):
    assert reading(IGNIS_ADDR="here:1")[3].startswith("app-")


@pytest.mark.thorough
def test_an_address_without_a_port_is_of_no_use_to_the_client(reading):
    _, ignis, master, _, said = reading(MASTER_ADDR="node-0")

    assert master == ignis
    assert "'node-0' has no port" in said
    assert len(said.splitlines()) == 1


@needs_lucas
@pytest.mark.parametrize("script", ["tests/task/call.py", "tests/actor/mulcall.py"])
def test_scripts_of_lucas_run_unmodified(lucas_storage, script):
    ran = lucas_storage.run("run", Path(LUCAS_SRC, script), env={**NOWHERE, "PYTHONPATH": LUCAS_SRC})

    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout.splitlines()[-1].rpartition(" ")[2].isdecimal(), ran.stdout


@needs_lucas
def test_the_controller_of_lucas_own_client_ends_with_the_script(lucas_storage):
    lucas_storage.script(
        """
        import os, psutil
        from lucas.actorc.actor import ActorContext
        ActorContext.createContext()
        print(*[each.pid for each in psutil.Process().children() if "actorc.controller.local" in each.cmdline()])
        """
    )
    ran = lucas_storage.run("run", "script.py", env={**NOWHERE, "PYTHONPATH": LUCAS_SRC})
    (controller,) = map(int, ran.stdout.split()) if ran.stdout.strip() else pytest.fail(ran.stderr)
    running = [psutil.Process(controller)] if psutil.pid_exists(controller) else []

    assert psutil.wait_procs(running, 20)[1] == []


@needs_lucas
def test_our_client_and_lucas_own_share_a_controller(lucas_storage):
    lucas_storage.script(
        """
        import os
        from lucas.actorc.actor import ActorContext as LucasContext
        LucasContext.createContext()
        from actorc.controller.client import address
        from actorc.controller.client.connection import Connection
        ours = address.ControllerChoice().destination()
        through = Connection(address.ControllerChoice())
        through.session()
        through.close()
        print(ours.is_started, ours.address == os.environ["MASTER_ADDR"])
        """
    )
    ran = lucas_storage.run("run", "script.py", env={**NOWHERE, "PYTHONPATH": LUCAS_SRC})

    assert ran.stdout.splitlines()[-1:] == ["True True"], ran.stderr


DECORATING = """
from lucas import workflow, function, Workflow
from actorc.controller.context import ActorFunction, ActorExecutor

@function(wrapper=ActorFunction, dependency=["actorc"], provider="actor", name="add", venv="myenv")
def add(params):
    return params["a"] + params["b"]

@workflow(executor=ActorExecutor)
def adding(wf: Workflow):
    return wf.call("add", {"a": wf.input()["a"], "b": 2})

import os
print("decorated", adding.export()({"a": 1}) if "APP_ID" in os.environ else "")
"""


@needs_lucas
def test_who_imports_our_client_needs_no_context_for_decorating(lucas_storage):
    lucas_storage.script(DECORATING)
    bare = {name: value for name, value in os.environ.items() if name not in NOWHERE}
    command = (sys.executable, str(lucas_storage.folder / "script.py"))
    ran = subprocess.run(command, env={**bare, "PYTHONPATH": LUCAS_SRC}, capture_output=True, text=True, check=False)

    assert ran.stdout.split() == ["decorated"], ran.stderr


@needs_lucas
def test_and_calls_go_through_our_client(lucas_storage):
    lucas_storage.script(DECORATING)
    ran = lucas_storage.run("run", "script.py", env={**NOWHERE, "PYTHONPATH": LUCAS_SRC})

    assert ran.stdout.splitlines()[-1:] == ["decorated 3"], ran.stderr
