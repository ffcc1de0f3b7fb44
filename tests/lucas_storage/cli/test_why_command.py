"""`why` and `uses`: where an artifact comes from and what keeps it, and what was made from it."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from lucas_storage import run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store
from lucas_storage.records.ulid import first_at


@pytest.fixture
def scaled(storage):
    """The result of a workflow of two steps."""

    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def scale(x: np.ndarray):
        return x * 3

    @workflow
    def study(wf):
        return wf.call("scale", {"x": wf.call("make", {"n": wf.input()["n"]})})

    return run(study, {"n": 10_000}, materialize=False)


def test_an_artifact_is_explained_by_its_reference_name_digest_and_key(scaled, storage, invoke):
    storage.publish(scaled, "table")
    for ref in (scaled.uri, "table", scaled.digest, scaled.digest[7:15], scaled.key, f"my-bucket/{scaled.key}"):
        done = invoke("why", ref)
        lines = done.stdout.splitlines()

        assert done.exit_code == 0, done.output
        assert lines[0].startswith("npy@1 78.2 KiB")
        assert lines[1].startswith("├── made by scale (version ")
        assert any("made by make" in line for line in lines)
        assert "    ├── the name table" in lines


def test_what_was_made_from_an_artifact_is_listed(scaled, storage, invoke):
    steps = json.loads(invoke("why", scaled.uri, "--json").stdout)["steps"]
    made = next(step for step in steps if step["function"] == "make")["outputs"][0]["ref"]
    done = invoke("uses", made)

    assert done.exit_code == 0, done.output
    assert [line[:18] for line in done.stdout.splitlines()[1:]] == ["└── taken by scale", "    └── made npy@1"]


def test_programs_get_ids_by_which_steps_are_joined(scaled, storage, invoke):
    found = json.loads(invoke("why", scaled.uri, "--json").stdout)
    scale, make = found["steps"]

    assert found["nearest"] == [scale["id"]]
    assert scale["after"] == [scale["inputs"][0]["maker"]] == [make["id"]]
    assert found["artifact"]["digest"] == scaled.digest
    assert {keeper["kind"] for keeper in found["kept"]["by"]} == {"run", "memo"}


def test_all_is_shown_where_it_is_wished(storage, invoke):
    refs = [storage.put(np.arange(1000 + number)) for number in range(20)]
    steps = [{"step": 1, "key": "", "function": "all", "in": {"x": refs[1:]}, "out": refs[:1]}]
    content = {"run": 1, "workflow": "w", "status": "succeeded", "started": 1.0, "steps": steps}
    record_store.write(storage, f"runs/{first_at(time.time() - 5)}/run.json", content)
    short, long = invoke("why", refs[0].uri).stdout, invoke("why", refs[0].uri, "--long").stdout

    assert (short.count("x: npy@1"), long.count("x: npy@1")) == (5, 19)
    assert "and 14 more inputs" in short


@pytest.mark.parametrize("command", ["why", "uses"])
@pytest.mark.parametrize("ref", ["nothing", "sha256:" + "0" * 64, "lucas://default/b/k?n=x", "{1", "lucas://other/key"])
def test_what_names_no_artifact_is_told_in_one_line(storage, invoke, command, ref):
    done = invoke(command, ref)

    assert done.exit_code in (2, 3)
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_hostile_names_do_not_reach_the_terminal(storage, invoke):
    hostile = "\x1b[2J\u202e<b>\n"
    ref = storage.put(np.arange(1000))
    steps = [{"step": 1, "key": "k", "function": hostile, "in": {hostile: [ref]}, "out": [], "version": hostile}]
    content = {"run": 1, "workflow": hostile, "status": "succeeded", "started": 1.0, "steps": steps}
    record_store.write(storage, f"runs/{first_at(time.time() - 5)}/run.json", content)
    record_store.write(storage, f"checkpoints/00/{'0' * 64}.json", {"function": hostile * 1_000_000, "value": ref})
    for command in (["why", ref.uri], ["uses", ref.uri], ["gc", "--long"]):
        told = invoke(*command).stdout

        assert "\\x1b[2J\\u202e<b>\\n" in told
        assert all(line.isprintable() for line in told.splitlines())
        assert len(told) < 10_000
