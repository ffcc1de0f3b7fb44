"""Where artifacts come from, what was made from them, and what keeps them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import lucas_storage
from actorc.storage.errors import InvalidParameterError
from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import ArtifactNotFoundError
from lucas_storage.lineage.provenance import kept_by
from lucas_storage.records import record_store, run_history
from lucas_storage.records.index import run_index
from lucas_storage.records.ulid import first_at, ulid
from lucas_storage.refs import inline_ref

pytestmark = pytest.mark.usefixtures("empty_registry")

DAY = 86_400.0


@pytest.fixture
def study():
    """An array, scaled, counted, and joined with itself; the count travels within the calls."""

    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def scale(x: np.ndarray):
        return x * 3

    @function
    @with_storage
    def count(x: np.ndarray):
        return len(x)

    @function
    @with_storage
    def join(x: np.ndarray, y: np.ndarray, n):
        return {"table": np.concatenate([x, y]), "n": n}

    @workflow
    def study(wf):
        x = wf.call("make", {"n": wf.input()["n"]})
        y = wf.call("scale", {"x": x})
        return wf.call("join", {"x": x, "y": y, "n": wf.call("count", {"x": y})})

    return study


@pytest.fixture
def later():
    """Another workflow, which takes an array."""

    @function
    @with_storage
    def halve(x: np.ndarray):
        return x / 2

    @workflow
    def later(wf):
        return wf.call("halve", {"x": wf.input()["x"]})

    return later


def record(storage, moment, steps, **more):
    """Write the record of a run, as it would be, and return its id."""
    key = first_at(moment)
    content = {"run": 1, "workflow": "w", "status": "succeeded", "started": moment, "steps": steps, **more}
    record_store.write(storage, f"runs/{key}/run.json", content)
    return key


def step(name, takes=(), makes=(), **more):
    return {"step": 1, "key": ulid(), "function": name, "in": {"x": list(takes)}, "out": list(makes), **more}


def functions(found):
    return [traced.step.function for traced in found.steps]


def test_an_artifact_names_the_steps_that_led_to_it_over_two_runs(storage, study, later):
    table = run(study, {"n": 10_000}, materialize=False)["table"]
    halved = run(later, {"x": table}, materialize=False)
    found = lucas_storage.why(halved)

    assert found.made_by.step.function == "halve"
    assert found.made_by.run == halved.run
    assert sorted(functions(found)) == ["count", "halve", "join", "make", "scale"]
    assert {traced.run for traced in found.steps} == {halved.run, table.run}


def test_a_value_within_a_call_is_followed_as_well(storage, study):
    table = run(study, {"n": 10_000}, materialize=False)["table"]
    found = lucas_storage.why(table)
    join, count = (next(each for each in found.steps if each.step.function == name) for name in ("join", "count"))

    assert count.id in join.after
    assert "after count" in repr(found)


def test_the_version_of_the_function_is_told(storage, study):
    table = run(study, {"n": 10_000}, materialize=False)["table"]

    assert lucas_storage.why(table).made_by.step.version.startswith("reached:")
    assert " made by join (version " in repr(lucas_storage.why(table))


def test_each_step_is_shown_in_full_once(storage, study):
    told = repr(lucas_storage.why(run(study, {"n": 10_000}, materialize=False)["table"]))

    assert told.count("made by make (version") == 1
    assert "made by make, as above" in told


def test_what_was_made_from_an_artifact_is_told_over_two_runs(storage, study, later):
    table = run(study, {"n": 10_000}, materialize=False)["table"]
    run(later, {"x": table}, materialize=False)
    made = next(each for each in lucas_storage.why(table).steps if each.step.function == "make").step.outputs[0].ref
    found = lucas_storage.uses(made)

    assert functions(found)[:2] == ["scale", "join"]
    assert sorted(functions(found)) == ["count", "halve", "join", "scale"]
    assert "taken by halve" in repr(found)


def test_an_artifact_without_any_use_says_so(storage):
    assert "no step of a recorded run took it" in repr(lucas_storage.uses(storage.put(np.arange(10_000))))


def test_readers_and_inputs_are_told(storage, study, later):
    table = run(study, {"n": 10_000}, materialize=False)["table"]
    halved = [run(later, {"x": table}, materialize=False) for _ in range(2)]
    found = lucas_storage.why(table)

    assert [entry.run for entry in found.read_by] == [ref.run for ref in reversed(halved)]
    assert "read by 2 runs" in repr(found)
    assert "an input of 2 runs" in repr(found)


def test_the_run_that_a_reference_names_comes_before_the_latest(storage, study):
    first, second = (run(study, {"n": 10_000}, materialize=False)["table"] for _ in range(2))

    assert lucas_storage.why(first).made_by.run == first.run
    assert lucas_storage.why(second.digest).made_by.run == second.run
    assert "made again by 1 run" in repr(lucas_storage.why(first))


def test_what_a_run_took_was_made_before_it(storage, study, later):
    first = run(study, {"n": 10_000}, materialize=False)["table"]
    halved = run(later, {"x": first}, materialize=False)
    run(study, {"n": 10_000}, materialize=False)
    join = next(traced for traced in lucas_storage.why(halved).steps if traced.step.function == "join")

    assert join.run == first.run


def test_a_reused_result_is_traced_to_the_run_that_made_it(storage, study):
    first = run(study, {"n": 10_000}, materialize=False)["table"]
    with storage_context(resume=True):
        second = run(study, {"n": 10_000}, materialize=False)["table"]
    found = lucas_storage.why(second)

    assert (found.made_by.run, found.made_by.step.state) == (first.run, "succeeded")
    assert "reused by 1 run" in repr(found)


@pytest.mark.parametrize("how", ["ref", "uri", "tagged", "json", "digest", "short", "name", "version", "key", "object"])
def test_an_artifact_may_be_named_in_every_way(storage, how):
    ref = storage.publish(storage.put(np.arange(10_000)), "model", version="1")
    names = {
        "ref": ref,
        "uri": ref.uri,
        "tagged": ref.to_json(),
        "json": json.dumps(ref.to_json()),
        "digest": ref.digest,
        "short": ref.digest.removeprefix("sha256:")[:8],
        "name": "model",
        "version": "model@1",
        "key": ref.key,
        "object": f"lucas://{ref.bucket}/{ref.key}",
    }

    assert lucas_storage.why(names[how]).ref.digest == ref.digest


@pytest.mark.parametrize("text", ["nothing", "sha256:" + "0" * 64, "000000", "a/b", "a/sha256/00/" + "0" * 64])
def test_a_name_of_nothing_is_an_error(storage, text):
    storage.create_bucket(storage.bucket, exist_ok=True)
    with pytest.raises(ArtifactNotFoundError):
        lucas_storage.why(text)


def test_a_beginning_of_two_digests_is_an_error(storage):
    for digits in ("aaaaaa" + "0" * 58, "aaaaaa" + "1" * 58):
        storage.put_object(storage.bucket, f"a/sha256/aa/{digits}", b"x")
    with pytest.raises(InvalidParameterError, match="several digests begin with 'aaaaaa'"):
        lucas_storage.why("aaaaaa")


def test_an_object_in_another_bucket_is_an_error(storage):
    with pytest.raises(InvalidParameterError, match="set LUCAS_STORAGE_BUCKET"):
        lucas_storage.why("lucas://other-bucket/key")


def test_a_reference_that_carries_its_bytes_is_an_error(storage):
    with pytest.raises(InvalidParameterError, match="carries its bytes itself"):
        lucas_storage.why(inline_ref("json@1", b"1"))


def test_an_object_without_a_digest_is_known_by_its_place(storage, later):
    storage.put_object(storage.bucket, "raw/data.npy", b"x")
    ref = ArtifactRef(bucket=storage.bucket, key="raw/data.npy", size=1, format="npy@1")
    record(storage, time.time() - DAY, [step("read", [ref])])

    assert [entry.steps[0].function for entry in lucas_storage.why("raw/data.npy").read_by] == ["read"]
    assert "so no collection removes it" in repr(lucas_storage.why("raw/data.npy"))


def test_a_gateway_to_a_store_of_objects_gives_the_same_answer(study, tmp_path):
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    with (
        local_server("remote+memory://") as server,
        storage_context(endpoint=server.endpoint, cache_dir=tmp_path, bucket="bucket", signing_key="0123456789abcdef"),
        Storage() as storage,
    ):
        storage.create_bucket("bucket")
        table = run(study, {"n": 10_000}, materialize=False)["table"]
        for head in list(storage.iter_objects("bucket", "lineage/")):
            storage.delete_object("bucket", head["key"])
        found = lucas_storage.why(storage.publish(table, "table"))

    assert sorted(functions(found)) == ["count", "join", "make", "scale"]
    assert {keeper.kind for keeper in found.kept_by} == {"name", "run", "memo"}


class TestArtifactsWithinOthers:
    """Steps that return so much data that it is stored as a whole, with references in it."""

    @pytest.fixture
    def inner(self, storage):
        """The workflow that makes one, by kind; each holds the same array."""

        @dataclass
        class Box:
            table: np.ndarray
            things: set

        made = {
            "list": lambda: [np.arange(10_000), "x" * 100_000],
            "small": lambda: {(1, 2): np.arange(10_000)},
            "stream": lambda: iter([{"a": np.arange(10_000)}, {"a": 1}]),
            "pickle": lambda: Box(np.arange(10_000), {object}),
        }

        def run_of(kind):
            @function
            @with_storage
            def make(n):
                return made[kind]()

            @function
            @with_storage
            def look(x):
                return len(str(x))

            @workflow
            def flow(wf):
                return wf.call("look", {"x": wf.call("make", {"n": wf.input()["n"]})})

            run(flow, {"n": 1})
            return storage.put(np.arange(10_000))

        return run_of

    @pytest.mark.parametrize("kind", ["list", "small", "stream", "pickle"])
    def test_the_step_that_stored_it_made_it(self, inner, kind):
        found = lucas_storage.why(inner(kind))

        assert found.made_by.step.function == "make"

    @pytest.mark.parametrize("kind", ["list", "stream", "pickle"])
    def test_the_step_that_took_the_outer_one_took_it(self, inner, kind):
        assert functions(lucas_storage.uses(inner(kind))) == ["look"]

    @pytest.mark.slow  # starts a process
    def test_a_step_with_a_time_limit_made_it_as_well(self, storage):
        @function
        @with_storage(timeout=60.0)
        def make(n):
            return [np.arange(10_000), "x" * 100_000]

        @workflow
        def flow(wf):
            return wf.call("make", {"n": wf.input()["n"]})

        run(flow, {"n": 1}, materialize=False)

        assert lucas_storage.why(storage.put(np.arange(10_000))).made_by.step.function == "make"

    def test_what_keeps_the_outer_one_keeps_it(self, storage, inner, monkeypatch):
        ref = inner("list")
        outer = lucas_storage.why(ref).made_by.step.outputs[0].ref
        storage.publish(outer, "both")
        monkeypatch.setattr(kept_by, "live_objects", None)
        keepers = lucas_storage.why(ref).kept_by

        assert {(keeper.kind, keeper.through) for keeper in keepers} >= {("name", outer.key), ("memo", outer.key)}


class TestWhatKeepsIt:
    def test_a_name_keeps_it_for_ever(self, storage):
        ref = storage.publish(storage.put(b"named"), "model", version="1", alias="best")
        found = lucas_storage.why(ref)

        assert {keeper.label for keeper in found.kept_by} == {"model", "model@1", "model@best"}
        assert found.keeping.removable_from is None
        assert "kept for ever by" in repr(found)

    def test_a_run_and_its_cached_result_keep_it_for_their_time(self, storage, later):
        halved = run(later, {"x": np.arange(10_000)}, materialize=False)
        found = lucas_storage.why(halved)

        assert {keeper.kind for keeper in found.kept_by} == {"run", "memo"}
        assert found.keeping.removable_from == pytest.approx(time.time() + 30 * DAY, abs=60)

    def test_a_checkpoint_keeps_it(self, storage):
        saved = []

        @function
        @with_storage
        def train(n, storage: Storage):
            storage.checkpoint().save(np.arange(n))
            saved.append(n)
            return 1

        @workflow
        def flow(wf):
            return wf.call("train", {"n": wf.input()["n"]})

        run(flow, {"n": 10_000})
        (keeper,) = lucas_storage.why(storage.put(np.arange(10_000))).kept_by

        assert (keeper.kind, keeper.label) == ("checkpoint", "train")

    def test_another_artifact_keeps_it(self, storage):
        inner = storage.put(np.arange(10_000))
        outer = storage.publish(storage.put([inner] * 2000), "list")
        (keeper,) = lucas_storage.why(inner).kept_by

        assert (keeper.label, keeper.through) == ("list", outer.key)

    def test_what_nothing_keeps_says_when_it_goes(self, storage):
        found = lucas_storage.why(storage.put(b"garbage"))

        assert found.kept_by == ()
        assert found.keeping.removable_from == pytest.approx(time.time() + 2 * DAY, abs=60)
        assert "kept by nothing" in repr(found)

    def test_a_run_whose_record_is_too_old_keeps_nothing(self, storage):
        ref = storage.put(np.arange(10_000))
        record(storage, time.time(), [step("make", (), [ref])])
        with storage_context(ttl=0.0):
            found = lucas_storage.why(ref)

        assert (found.kept_by, found.made_by.step.function) == ((), "make")

    def test_an_artifact_that_is_gone_is_still_explained(self, storage, later):
        halved = run(later, {"x": np.arange(10_000)}, materialize=False)
        storage.delete_object(halved.bucket, halved.key)
        found = lucas_storage.why(halved)

        assert found.made_by.step.function == "halve"
        assert "it is not in the store any more" in repr(found)


def test_a_run_whose_record_is_gone_is_known_from_the_index(storage, later):
    halved = run(later, {"x": np.arange(10_000)}, materialize=False)
    for head in storage.list_objects(storage.bucket, "runs/")["objects"]:
        storage.delete_object(storage.bucket, head["key"])
    found = lucas_storage.why(halved)

    assert (found.made_by.step.function, found.made_by.run) == ("halve", halved.run)
    assert "of which no record is left" in repr(found)


def test_artifacts_made_of_each_other_in_a_circle_end_the_trace(storage):
    one, two = storage.put(np.arange(10_000)), storage.put(np.arange(20_000))
    record(storage, time.time() - 10, [step("there", [one], [two])])
    record(storage, time.time() - 5, [step("back", [two], [one])])

    assert sorted(functions(lucas_storage.why(one))) == ["back", "there"]
    assert sorted(functions(lucas_storage.uses(one))) == ["back", "there"]
    assert "as above" in repr(lucas_storage.why(one))


def test_a_chain_of_many_steps_is_cut_where_it_is_shown(storage):
    refs = [storage.put(np.arange(1000 + n)) for n in range(300)]
    started = time.time() - 1000
    steps = [step("f", [a], [b], started=started + n) for n, (a, b) in enumerate(pairwise(refs))]
    record(storage, started, steps)
    why, uses = lucas_storage.why(refs[-1]), lucas_storage.uses(refs[0])

    assert 50 < len(why.steps) <= 102
    assert why.to_json()["complete"] is uses.to_json()["complete"] is False
    assert "and others before it" in repr(why)
    assert "and others behind it" in repr(uses)


def test_a_fan_of_many_is_shown_in_part(storage):
    refs = [storage.put(np.arange(1000 + n)) for n in range(50)]
    record(
        storage,
        time.time() - 5,
        [*(step("f", [], [ref], started=1.0) for ref in refs[1:]), step("all", refs[1:], refs[:1], started=2.0)],
    )
    found = lucas_storage.why(refs[0])

    assert len(found.steps) == 50
    assert "and 44 more inputs" in repr(found)


def test_a_notebook_gets_the_graph_and_the_lines(storage, study, later):
    table = run(study, {"n": 10_000}, materialize=False)["table"]
    run(later, {"x": table}, materialize=False)
    for html in (lucas_storage.why(table)._repr_html_(), lucas_storage.uses(table)._repr_html_()):
        ET.fromstring(html.replace("&#160;", " "))
        assert "<svg" in html
        assert "halve" in html


HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\"'&\n]]>"


def test_hostile_records_do_nothing_where_they_are_shown(storage, monkeypatch):
    ref, made = storage.put(np.arange(10_000)), storage.put(np.arange(20_000))
    named = ArtifactRef(
        **{**{f: getattr(made, f) for f in ("bucket", "key", "digest", "size", "format")}, "filename": "<b>\u202e.npy"}
    )
    long = "<i>" * 3_000_000
    short = long[:100_000]
    bad = step(HOSTILE, [ref], [named], version=HOSTILE, error=HOSTILE, message=long, traceback=short, machine=HOSTILE)
    huge = step(long, [named], [], version=short)
    bad["in"] = {HOSTILE: [ref, {"inline": HOSTILE, "size": 1e308}], short: [ref]}
    record(storage, time.time() - 5, [bad, huge], workflow=HOSTILE)
    record_store.write(storage, f"names/x/{HOSTILE.replace('/', '')}/y.json", {"ref": made})
    record_store.write(storage, f"checkpoints/00/{'0' * 64}.json", {"function": short, "value": made})
    for found in (
        lucas_storage.why(named),
        lucas_storage.uses(ref),
        lucas_storage.uses(named),
        lucas_storage.why(made),
    ):
        text, html = repr(found), found._repr_html_()
        ET.fromstring(html.replace("&#160;", " "))

        assert all(line.isprintable() for line in text.split("\n"))
        assert "<script" not in html
        assert "<b>" not in html
        assert all(mark not in html for mark in "\x1b\u202e")
        assert len(text) < 100_000
        assert len(html) < 200_000


def test_the_number_of_runs_does_not_add_to_the_calls(storage, thorough, monkeypatch):
    """Ten thousand runs, each of which took one artifact and made another: an answer is a few pages."""
    taken = storage.put(np.arange(10_000))
    calls = []
    for method in ("list_objects", "iter_objects", "get_objects", "get_object", "head_object", "put_objects"):
        genuine = getattr(Storage, method)
        monkeypatch.setattr(Storage, method, lambda self, *a, _g=genuine, **k: (calls.append(1), _g(self, *a, **k))[1])
    counts = []
    for number in (10, 10_000 if thorough else 1010):
        refs = [ArtifactRef(**{**fields_of(taken), **place_of(index)}) for index in range(number)]
        write_runs(storage, taken, refs)
        lucas_storage.why(taken)
        for ref in (refs[0], refs[-1], taken):
            calls.clear()
            lucas_storage.why(ref)
            counts.append(len(calls))

    assert max(counts) <= 40
    # Of the last hour, runs and marks are listed by the beginning of their ids, of which it may have two.
    assert counts[3] <= counts[0] + 2
    assert len(lucas_storage.why(taken).read_by) == 100


def fields_of(ref):
    return {name: getattr(ref, name) for name in ("store", "bucket", "size", "format")}


def place_of(index):
    digits = f"{index:064x}"
    return {"digest": f"sha256:{digits}", "key": f"a/sha256/{digits[:2]}/{digits}"}


def write_runs(storage, taken, refs):
    """Write the records of runs with their entries in the index, a thousand in a call."""
    started = time.time() - 20 * DAY
    records = []
    for number, ref in enumerate(refs):
        moment = started + number * 19 * DAY / len(refs)
        key = first_at(moment)
        content = {
            "run": 1,
            "workflow": "w",
            "status": "succeeded",
            "started": moment,
            "steps": [step("f", [taken], [ref])],
        }
        records.append(record_store.prepare(storage, f"runs/{key}/run.json", content))
        records += run_index.prepared(storage, run_index.entries_of(run_history.run_of(key, content)))
        records.append(run_index.prepared_mark(storage, key))
    record_store.write_all(records, 60)
