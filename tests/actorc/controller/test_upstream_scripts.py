"""Scripts of Lucas and of ignis as they are, against the embedded controller: by Lucas's own client, and by ours."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import lucas_storage

pytestmark = pytest.mark.slow

ROOT = Path(lucas_storage.__file__).parents[1]
LUCAS = os.environ.get("LUCAS_SRC")
IGNIS = os.environ.get("IGNIS_SRC")
ENGINES = {"genuine": LUCAS, "older": os.environ.get("LUCAS_OLD")}

needs_lucas = pytest.mark.skipif(not LUCAS, reason="LUCAS_SRC names no checkout of genuine Lucas")

PRINTED = {
    "task/call.py": "3",
    "task/mulcall.py": "6",
    "task/function.py": "3",
    "task/resource.py": "3",
    "actor/call.py": "Workflow result: 5",
    "actor/mulcall.py": "Workflow result: 20",
    "actor/interface.py": "result1: 5, result2: 5",
    "actor/resource.py": "result1: 5, result2: 6",
}

FAILING = """
from lucas import function, workflow
from lucas.actorc.actor import ActorContext, ActorExecutor

ActorContext.createContext()

@function(provider="actor")
def fail(a):
    raise ValueError("on purpose")

@function(provider="actor")
def double(a):
    return 2 * a

@workflow(executor=ActorExecutor, provider="actor")
def chain(wf):
    return wf.call("double", {"a": wf.call("fail", {"a": wf.input()["a"]})})

for found in (chain.export()({"a": 1}), fail.export()({"a": 1})):
    print(type(found).__name__, str(found).splitlines()[0])
print(double.export()({"a": 21}))
"""

DECORATED = """
from actorc.controller.context import ActorFunction
from lucas import function

@function(wrapper=ActorFunction, provider="actor")
def double(a):
    return 2 * a

print(double.export()({"a": 21}))
"""


def ran(script, folder, path, **variables):
    """Return what a script printed, in a process that has a Lucas, and of our variables those that are given."""
    unset = dict.fromkeys(("APP_ID", "IGNIS_ADDR", "MASTER_ADDR"), "")
    done = subprocess.run(
        [sys.executable, *script],
        env={**os.environ, **unset, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]), "LUCAS_LOG": "5", **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def own_id():
    return f"tests.{uuid.uuid4().hex[:8]}"


@needs_lucas
@pytest.mark.parametrize("script", PRINTED)
def test_lucas_own_client_runs_its_own_tests(controller, script, tmp_path):
    told = {"MASTER_ADDR": controller.address, "APP_ID": own_id()}

    assert ran([f"{LUCAS}/tests/{script}"], tmp_path, [LUCAS], **told)[-1] == PRINTED[script]


@needs_lucas
def test_lucas_own_client_is_shown_a_failure_where_it_looks_and_goes_on(controller, tmp_path):
    told = {"MASTER_ADDR": controller.address, "APP_ID": own_id()}
    chain, alone, after = ran(["-c", FAILING], tmp_path, [LUCAS], **told)[-3:]

    follows = "the argument 'a' of 'double' has no value, as an earlier call failed; ValueError: on purpose"
    assert chain == f"RuntimeError the call failed; {follows}"
    assert alone == "RuntimeError the call failed; ValueError: on purpose"
    assert after == "42"


@pytest.mark.parametrize("lucas", ENGINES)
def test_a_function_is_decorated_without_a_context_and_called(controller, lucas, tmp_path):
    path = ENGINES[lucas] or pytest.skip("no checkout of this Lucas is named")

    assert ran(["-c", DECORATED], tmp_path, [path], IGNIS_ADDR=controller.address, APP_ID=own_id())[-1] == "42"


@pytest.mark.skipif(not IGNIS, reason="IGNIS_SRC names no checkout of ignis")
@pytest.mark.parametrize("lucas", ENGINES)
def test_ignis_own_example_of_a_workflow_runs_without_a_controller(lucas, tmp_path):
    path = ENGINES[lucas] or pytest.skip("no checkout of this Lucas is named")
    examples = f"{IGNIS}/clients/py/actorc/storage"
    code = f"import sys; sys.path.append({examples!r}); import examples; examples.example_workflow_integration()"

    assert any("✓" in line for line in ran(["-c", code], tmp_path, [path]))
