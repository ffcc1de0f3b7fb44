"""`runs`, `show` and `gc`: what ran, what it made, and what nobody needs any more."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store

CANARY = Path("canary")


class Model:
    """A class whose pickle leaves a trace when it is loaded."""

    def __reduce__(self):
        return os.mkdir, (str(CANARY),)


@pytest.fixture
def past(storage):
    """The result of a workflow that ran once."""

    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def total(x: np.ndarray):
        return {"sum": int(x.sum()), "x": x}

    @workflow
    def study(wf):
        return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]})})

    return run(study, {"n": 10_000}, materialize=False)


def test_runs_are_listed(past, invoke):
    done = invoke("runs")

    assert done.exit_code == 0, done.output
    assert done.stdout.split()[0] == past["x"].run
    assert "succeeded" in done.stdout
    assert "study, 2 steps" in done.stdout


def test_a_run_is_shown_as_a_tree(past, invoke):
    lines = invoke("runs", "last").stdout.splitlines()

    assert lines[0].startswith(f"study  {past['x'].run}  succeeded")
    assert [line.split()[1] for line in lines if "s" in line.split()[-1] and line[0] in "├└"][:2] == ["make", "total"]
    assert sum("npy@1 78.2 KiB" in line for line in lines) == 4


@pytest.fixture
def failed(storage):
    """A workflow failed, with a message of several lines that would drive a terminal."""

    @function
    @with_storage
    def explode(x, note):
        raise ValueError("\x1b[31mred\u202e\n" + "line\n" * 9)

    @workflow
    def study(wf):
        return wf.call("explode", {"x": wf.input()["x"], "note": wf.input()["note"]})

    with pytest.raises(ValueError, match="red"):
        run(study, {"x": np.arange(1000), "note": ("a", 1)})


@pytest.mark.usefixtures("failed")
def test_a_failed_step_is_shown_with_its_message(invoke):
    shown = invoke("runs", "last").stdout

    assert f"on {platform.node()}, Python {platform.python_version()}" in shown
    assert "ValueError" in shown
    assert "\\x1b[31mred\\u202e" in shown
    assert shown.count("line") == 4 + 1
    assert "and 5 more lines" in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("failed")
def test_programs_get_arguments_and_errors_of_steps(invoke):
    past = json.loads(invoke("runs", "last", "--json").stdout)
    (step,) = past["steps"]

    assert (past["message"], step["message"]) == (step["message"], "\x1b[31mred\u202e\n" + "line\n" * 9)
    assert (step["state"], step["machine"], step["version"][:8]) == ("failed", platform.node(), "reached:")
    assert step["given"] == past["parameters"]
    assert ArtifactRef.parse(step["given"]["x"]) == ArtifactRef.parse(step["inputs"]["x"][0]["ref"])
    assert ArtifactRef.parse(step["source"]).format == "text@1"
    assert ArtifactRef.parse(step["shipped"]).signature


@pytest.mark.parametrize(
    ("beat", "status"), [(time.time, "running"), (lambda: 5.0, "lost"), (None, "running or killed")]
)
def test_a_run_that_has_not_ended_is_told_from_one_that_was_killed(storage, invoke, monkeypatch, beat, status):
    key = "01M8FP24KN2PN0D0J1VZF7A8YV"
    fields = {} if beat is None else {"beat": beat()}
    record_store.write(storage, f"runs/{key}/run.json", {"run": 1, "workflow": "w", "status": "running", **fields})
    step = {"step": 1, "key": key, "function": "busy", "started": 5.0, "state": "running", "machine": "other"}
    record_store.write(storage, f"runs/{key}/steps/{key}.json", step)
    if status == "lost":
        monkeypatch.setattr("lucas_storage.records.run_history._LOST_AFTER", -1.0)
    shown = invoke("runs", "last").stdout

    assert status in invoke("runs").stdout
    assert f"w  {key}  {status}  " in shown
    assert f"busy  since 1970-01-01 00:00:05  {status.split()[0]}  on other" in shown
    assert ("nothing was heard of it since" in shown) == (status == "lost")


def test_whole_references_are_shown_where_they_are_wished(past, invoke):
    assert past["x"].uri.partition("&r=")[0] in invoke("runs", past["x"].run, "--long").stdout


def test_programs_get_json(past, invoke):
    (one,) = map(json.loads, invoke("runs", "--json").stdout.splitlines())
    same = json.loads(invoke("runs", past["x"].run, "--json").stdout)

    assert one == same
    assert [step["function"] for step in one["steps"]] == ["make", "total"]
    assert one["steps"][0]["outputs"][0]["size"] == 80_128


def test_programs_get_short_results_as_the_record_has_them(storage, invoke):
    @function
    @with_storage
    def short(n):
        return {"n": n, "small": np.uint8(n)}

    @workflow
    def study(wf):
        return wf.call("short", {"n": 3})

    run(study, {}, materialize=False)
    (step,) = json.loads(invoke("runs", "last", "--json").stdout)["steps"]

    assert step["returned"]["n"] == 3
    assert step["returned"]["small"]["$artifact"].startswith("lucas:inline?")


def test_a_run_that_is_not_there_is_an_error(storage, invoke):
    done = invoke("runs", "ZZ")

    assert done.exit_code == 3
    assert "there is no run 'ZZ'" in done.stderr


def test_names_in_records_cannot_move_the_cursor(storage, invoke):
    text = json.dumps({"run": 1, "workflow": "\x1b[2J", "status": "\x1b]0;", "steps": [], "started": 1})
    storage.put_object("my-bucket", "runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/run.json", text.encode())

    assert all("\x1b" not in invoke("runs", *more).stdout for more in ((), ("last",)))


def test_no_bucket_means_no_runs(storage, invoke, monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "another")

    assert (invoke("runs").exit_code, invoke("runs").stdout) == (0, "")


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("value", "format_id", "expected"),
    [
        ({"a": [1, "ä"]}, None, '{\n  "a": [\n    1,\n    "ä"\n  ]\n}'),
        ("line\n" * 30, "text@1", "line\n" * 20 + "…"),
        (b"plain\ntext", None, "plain\ntext"),
        (bytes(range(20)), None, "00000000  00 01 02"),
        (np.arange(3.0), None, "(3,)"),
        (np.arange(3.0), None, "0.0\n1.0\n2.0"),
        (np.arange(30.0), None, "19.0\n…"),
        (pd.DataFrame({"x": [1, 2], "y": ["a", None]}), "arrow@1", "x  y\n1  a\n2  None"),
        (pd.DataFrame({"x": [1, 2]}), "parquet@1", "x\n1\n2"),
        (pd.DataFrame({"x": [1, 2]}), "parquet@1", "column x:    int64"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_artifacts_are_shown_by_their_format(storage, invoke, value, format_id, expected):
    ref = storage.put(value, format=format_id)
    done = invoke("show", ref.uri)

    assert done.exit_code == 0, done.output
    assert expected in done.stdout
    assert f"format:      {ref.format}" in done.stdout


def test_the_names_of_columns_cannot_move_the_cursor(storage, invoke):
    ref = storage.put(pd.DataFrame({"evil\x1b[2J\u202e": ["\x1b[2J"] * 3}), format="parquet@1")

    done = invoke("show", ref.uri)

    assert done.exit_code == 0, done.output
    assert not {"\x1b", "\u202e"} & set(done.stdout)


def test_statistics_say_what_they_are_of(storage, invoke):
    ref = storage.put(pd.DataFrame({"n": np.arange(20_000) * 1.0}), format="parquet@1")

    shown = invoke("show", ref.uri).stdout

    assert (
        "column n:    double; 0 null of all rows; 0.0 … 19999.0 of all rows; mean 4999.5; 10000 different; "
        "of the first 10000 rows"
    ) in shown


def test_directories_and_streams_are_shown(storage, invoke, tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("text")
    (folder / "empty").mkdir()
    tree = invoke("show", storage.put(folder).uri).stdout
    stream = invoke("show", storage.put(f"line {n}\n".encode() for n in range(3)).uri).stdout

    assert "sub/a.txt" in tree
    assert "empty/" in tree
    assert "line 0\nline 1\nline 2" in stream


@pytest.mark.parametrize("signed", [True, False])
def test_a_pickle_is_described_and_not_loaded(storage, invoke, tmp_path, signed):
    ref = storage.put(Model())
    done = invoke("show", ref.uri if signed else ref.signed(None).uri)

    assert done.exit_code == 0, done.output
    assert "Model" in done.stdout
    assert f"python:      {sys.version_info.major}.{sys.version_info.minor}" in done.stdout
    assert ("nothing will load it" in done.stdout) is not signed
    assert not (tmp_path / CANARY).exists()


def test_what_is_published_is_shown_by_name(storage, invoke):
    storage.publish(storage.put({"a": 1}), "ranker", alias="prod")

    assert '"a": 1' in invoke("show", "ranker@prod").stdout
    assert invoke("show", "nothing").exit_code == 3


def test_a_reference_is_shown_as_it_travels(storage, invoke):
    ref = storage.put({"a": 1})

    assert '"a": 1' in invoke("show", json.dumps(ref.to_json())).stdout
    assert json.loads(invoke("show", ref.uri, "--json").stdout)["lines"] == ["{", '  "a": 1', "}"]
    assert "inline" in invoke("show", "lucas:inline?f=json@1&v=MQ").stdout


@pytest.mark.parametrize("text", ["lucas:nonsense", "{", '{"a": 1}', "lucas://default/b/k?n=1"])
def test_what_is_no_reference_is_an_error(storage, invoke, text):
    assert invoke("show", text).exit_code == 2


def test_bytes_of_another_format_are_an_error_of_one_line(storage, invoke):
    ref = storage.put(b"no array", format="bytes@1")
    done = invoke("show", ref.uri.replace("bytes%401", "npy%401"))

    assert done.exit_code == 1
    assert "not one of format npy@1" in done.stderr


def test_content_cannot_move_the_cursor(storage, invoke):
    assert "\x1b" not in invoke("show", storage.put("\x1b[2J text", format="text@1").uri).stdout


def test_garbage_is_collected_in_two_passes(storage, invoke):
    storage.put(b"garbage")
    look = invoke("gc", "--grace", "0s")
    first = json.loads(invoke("gc", "--grace", "0s", "--delete", "--json").stdout)
    second = json.loads(invoke("gc", "--grace", "0s", "--delete", "--json").stdout)

    assert look.exit_code == 0, look.output
    assert "1 objects        7 B not in use, to be marked by --delete" in look.stdout
    assert (first["marked"]["objects"], first["removed"]["objects"]) == (1, 0)
    assert (second["marked"]["objects"], second["removed"]["objects"]) == (0, 1)


def test_a_collection_lists_each_object_with_its_reason(storage, invoke):
    named, garbage = storage.publish(storage.put(b"named"), "model"), storage.put(b"garbage")
    told = invoke("gc", "--grace", "0s", "--long").stdout.splitlines()
    objects = json.loads(invoke("gc", "--grace", "0s", "--long", "--json").stdout)["objects"]
    short = json.loads(invoke("gc", "--grace", "0s", "--json").stdout)

    assert any(line.startswith("kept") and line.endswith(f"{named.key}  kept by the name model") for line in told)
    assert any(line.startswith("unmarked") and f"{garbage.key}  nothing refers to it" in line for line in told)
    assert {each["key"]: each["state"] for each in objects} == {named.key: "kept", garbage.key: "unmarked"}
    assert not {"objects", "plan"} & short.keys()


def test_a_policy_of_the_store_is_obeyed_by_every_collection(storage, invoke):
    for number in range(4):
        storage.publish(storage.put(b"model %d" % number), "model", version=f"v{number}")
    said = [invoke("gc", "policy", "show").stdout]
    said.append(invoke("gc", "policy", "set", "--keep-last", "model=1", "--keep-days", "14").stdout)
    looked = json.loads(invoke("gc", "--grace", "0s", "--json", "--long").stdout)
    done = invoke("gc", "--grace", "0s", "--delete")
    once = json.loads(invoke("gc", "--grace", "0s", "--keep-last", "3", "--json").stdout)
    said.append(invoke("gc", "policy", "clear").stdout)

    assert said[0] == "no policy; runs count for 30 days (built-in default); names stay for ever\n"
    assert said[1] == "--keep-days 14 --keep-last 'model=1'\n"
    assert said[2] == said[0] + "in place of --keep-days 14 --keep-last 'model=1'\n"
    assert (looked["policy"]["keep_days"], looked["expired_by"]["name"]["objects"]) == (14, 6)
    assert {each["reason"].partition(": ")[2] for each in looked["expired_records"]} == {
        "not among the last 1 publications of its name, and no alias has to do with it"
    }
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "policy: --keep-days 14 --keep-last 'model=1'"
    assert "whose time is over, removed" in done.stdout
    assert once["policy"] == {"keep_days": None, "keep_last": [{"names": "*", "last": 3}]}


@pytest.mark.parametrize("options", [["--keep-last", "1"], ["--keep-days", "1"], ["--ttl", "1s"]])
def test_what_deletes_obeys_the_policy_of_the_store_and_no_options(storage, invoke, options):
    """An option for one rule would let go of what the others keep."""
    for number in range(3):
        storage.publish(storage.put(b"model %d" % number), "model")
    invoke("gc", "policy", "set", "--keep-last", "model=all", "--keep-last", "1", "--keep-days", "365")
    looked = invoke("gc", "--grace", "0s", *options)
    refused = invoke("gc", "--grace", "0s", "--delete", *options)
    same = ["--keep-last", "model=all", "--keep-last", "1", "--keep-days", "365"]
    obeyed = invoke("gc", "--grace", "0s", "--delete", *same)

    assert looked.stdout.splitlines()[0].endswith(
        "in place of that of the store, --keep-days 365 --keep-last 'model=all' --keep-last '*=1'"
    )
    assert (refused.exit_code, "make it that of the store by 'lucas-storage gc policy set'" in refused.stderr) == (
        2,
        True,
    )
    assert (obeyed.exit_code, len(list(storage.iter_objects(storage.bucket, "names/")))) == (0, 3), obeyed.output


def test_options_decide_what_is_deleted_where_the_store_has_no_policy(storage, invoke):
    for number in range(3):
        storage.publish(storage.put(b"model %d" % number), "model")
    done = invoke("gc", "--grace", "0s", "--delete", "--keep-last", "1")

    assert (done.exit_code, len(list(storage.iter_objects(storage.bucket, "names/")))) == (0, 1), done.output


def test_a_policy_that_is_replaced_is_told_so_that_it_can_be_brought_back(invoke):
    invoke("gc", "policy", "set", "--keep-days", "365")
    told = invoke("gc", "policy", "set", "--keep-last", "5").stdout
    again = json.loads(invoke("gc", "policy", "set", "--keep-days", "365", "--json").stdout)

    assert told.splitlines()[1] == "in place of --keep-days 365"
    assert (again["keep_days"], again["former"]["keep_last"]) == (365, [{"names": "*", "last": 5}])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gc", "policy", "set"], "give --keep-days, --keep-last or both"),
        (["gc", "policy", "set", "--keep-last", "0"], "'0' is no rule for names"),
        (["gc", "--keep-last", "a b=1"], "'a b=1' is no rule for names"),
        (["gc", "--keep-days", "0"], "runs cannot count 0 days"),
        (["gc", "--keep-days", "x"], "'x' is not a valid integer"),
        (["gc", "--keep-days", "1", "--ttl", "1d"], "say the same"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_before_anything_is_done(invoke, arguments, told):
    done = invoke(*arguments)

    assert (done.exit_code, told in done.stderr) == (2, True), done.output


def test_a_policy_that_cannot_be_read_stops_collections_and_is_set_anew(storage, invoke):
    storage.put_object(storage.bucket, "gc/policy.json", b"{")
    refused = invoke("gc", "--delete")
    also = invoke("gc", "--delete", "--keep-last", "1")

    assert also.exit_code == 1
    assert (refused.exit_code, "'lucas-storage gc policy set' writes it anew" in refused.stderr) == (1, True)
    assert invoke("gc", "policy", "set", "--keep-last", "5").exit_code == 0
    assert invoke("gc", "--delete").exit_code == 0


def test_a_store_that_removes_without_a_condition_asks_for_a_time_without_workflows(invoke, monkeypatch):
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    with local_server("remote+memory://") as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        refused = invoke("gc", "--delete")
        done = invoke("gc", "--delete", "--quiescent")

    assert (refused.exit_code, done.exit_code) == (1, 0), done.output
    assert "run 'lucas-storage gc --delete --quiescent' while no workflow runs" in refused.stderr


def test_what_cannot_be_read_is_named_and_stops_the_removal(storage, invoke):
    storage.put_object("my-bucket", "names/x/y.json", b"{")
    done = invoke("gc", "--delete")

    assert done.exit_code == 1
    assert "cannot be read: names/x/y.json" in done.stdout
    assert "Nothing was removed" in done.stdout


@pytest.mark.parametrize("text", ["soon", "-1s", "3 weeks"])
def test_a_time_that_is_none_is_refused(storage, invoke, text):
    done = invoke("gc", f"--grace={text}")

    assert done.exit_code == 2
    assert "is not a length of time, such as 90s, 15m, 48h or 30d" in done.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_the_program_knows_the_server_of_its_folder(lucas_storage):
    lucas_storage.script(
        """
        from lucas import function, workflow
        from lucas_storage import run, with_storage

        @function
        @with_storage
        def double(x):
            return 2 * x

        @workflow
        def flow(wf):
            return wf.call("double", {"x": wf.input()["x"]})

        print(run(flow, {"x": 4}))
        """
    )
    ran = lucas_storage.run("run", "script.py")
    listed = lucas_storage.run("runs", "last")
    collected = lucas_storage.run("gc", "--delete")

    assert (ran.stdout, ran.returncode) == ("8\n", 0), ran.stderr
    assert "double" in listed.stdout, listed.stderr
    assert collected.returncode == 0, collected.stderr


def test_the_graph_of_a_run_is_drawn(past, invoke):
    drawing = invoke("runs", "last", "--svg").stdout
    flowchart = invoke("runs", past["x"].run, "--mermaid").stdout

    root = ET.fromstring(drawing)
    assert root.attrib["aria-label"] == "study, 2 steps (2 succeeded)"
    assert {"make", "total"} <= {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert flowchart.splitlines()[0] == "flowchart TD"
    assert "make<br/>" in flowchart


def test_a_drawing_needs_a_run(storage, invoke):
    done = invoke("runs", "--svg")

    assert done.exit_code == 2
    assert "--svg draws one run; name it, or 'last'" in done.stderr
