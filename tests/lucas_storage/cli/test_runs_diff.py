"""`runs diff`: two runs of a script in which one line changed."""

from __future__ import annotations

import json
import random

import pytest

STUDY = """
    from lucas import function, workflow
    from lucas_storage import run, with_storage


    @function
    @with_storage
    def load(n):
        return list(range(n))


    @function
    @with_storage
    def double(values):
        doubled = [2 * value for value in values]
        return doubled


    @function
    @with_storage
    def total(values):
        return {"sum": sum(values)}


    @workflow
    def study(wf):
        return wf.call("total", {"values": wf.call("double", {"values": wf.call("load", {"n": wf.input()["n"]})})})


    run(study, {"n": SIZE})
"""


@pytest.fixture
def study(beside_server):
    """Run the script, with another text in place of one of its own."""

    def runs(old="", new="", size=5):
        beside_server.script(
            STUDY.replace("SIZE", str(size)).replace(old, new) if old else STUDY.replace("SIZE", str(size))
        )
        done = beside_server.run("run", "script.py")
        assert done.returncode == 0, done.stderr

    return runs


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 5000], ids=["values that travel within the graph", "stored values"])
def test_of_two_runs_that_differ_in_one_line_the_step_and_the_line_are_named(beside_server, study, size):
    study(size=size)
    study("2 * value", "3 * value", size=size)

    done = beside_server.run("runs", "diff")

    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("double: "))
    assert "its inputs are equal" in lines[head]
    assert "    -    doubled = [2 * value for value in values]" in lines
    assert "    +    doubled = [3 * value for value in values]" in lines
    record = json.loads(beside_server.run("runs", "diff", "last~1", "last", "--json").stdout)
    assert record["first"]["function"] == "double"


@pytest.mark.slow
def test_of_two_runs_with_other_inputs_the_inputs_are_named(beside_server, study):
    study(size=5)
    study(size=6)

    done = beside_server.run("runs", "diff", "last~1")

    assert done.returncode == 1, done.stderr
    assert "input n: 5 → 6" in done.stdout


@pytest.mark.slow
def test_two_runs_that_did_the_same_are_equal(beside_server, study):
    study()
    study()

    done = beside_server.run("runs", "diff", "last~1", "last")

    assert (done.returncode, done.stdout.splitlines()[0].split()[-1]) == (0, "equal")
    assert beside_server.run("runs", "diff", "-q").stdout == ""


def test_a_run_that_is_not_there_is_no_difference(invoke):
    done = invoke("runs", "diff", "ZZ", "last")

    assert (done.exit_code, "there is no run 'ZZ'" in done.stderr) == (3, True)


def test_the_command_is_told_by_the_help_of_runs(invoke):
    assert "runs diff" in invoke("runs", "--help").stdout
    assert invoke("runs", "diff", "--help").stdout.startswith("Usage: lucas-storage runs diff [OPTIONS] [A [B]]")
    assert invoke("runs", "diff", "a", "b", "c").exit_code == 2


EVIL = "\x1b[2J\u202e<script>" * 50
DEEP = "[" * 600 + "]" * 600
STRANGE = (None, 1, -1.5, 1e300, True, EVIL, [], [[]], {}, {"a": EVIL}, [EVIL, 1, None], {EVIL: [{EVIL: EVIL}]})
FIELDS = (
    *("key", "after", "function", "started", "seconds", "state", "version", "source", "shipped", "given", "returned"),
    *("fingerprint", "message", "traceback", "attempts", "machine", "in", "out", "error", "withheld", "reused"),
)


def test_records_of_strangers_are_compared_and_do_nothing_to_the_terminal(invoke, client, monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "my-bucket")
    chosen = random.Random(3)
    for at in range(12):
        steps = [{field: chosen.choice(STRANGE) for field in FIELDS} for _ in range(chosen.randrange(5))]
        about = {field: chosen.choice(STRANGE) for field in ("workflow", "parameters", "packages", "python", "machine")}
        record = json.dumps({"run": 1, "status": "succeeded", "started": 1, **about, "in": {EVIL: [1]}, "steps": steps})
        record = record.replace('"returned": []', f'"returned": {DEEP}')
        client.put_object("my-bucket", f"runs/01ARZ3NDEKTSV4RRFFQ69G5F{at:02}/run.json", record.encode())

    for at in range(11):
        for more in ((), ("--json",)):
            done = invoke("runs", "diff", f"last~{at + 1}", f"last~{at}", *more)
            assert done.exit_code in (0, 1), done.output
            assert not done.exception or isinstance(done.exception, SystemExit)
            assert "\x1b" not in done.stdout
            assert more or "\u202e" not in done.stdout
            assert len(done.stdout) < 200_000
