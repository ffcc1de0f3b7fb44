"""A run travels in one file: whole, verified, and with nothing that it did not bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest

from actorc.storage import AlreadyExistsError, ResourceExhaustedError
from actorc.storage.errors import InvalidParameterError
from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, Storage, run, with_storage
from lucas_storage.bundles.export import export
from lucas_storage.bundles.import_run import import_bundle
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import ArtifactNotFoundError, DigestMismatchError, UnsafeFormatError
from lucas_storage.records import record_store, record_writer, run_history, run_record
from lucas_storage.records.index.run_index import INDEXED, digits_of
from lucas_storage.records.index.run_indexing import RunIndex


def artifacts_of(past):
    mentions = [*past.outputs, *(mention for step in past.steps for mention in step.outputs)]
    return {mention.ref.digest: mention.ref for mention in mentions if mention.ref}


def test_a_run_is_the_same_after_the_way_to_another_bucket(storage, bundled, elsewhere):
    before = run_history.find(storage, bundled.run)
    there = elsewhere()

    done = import_bundle(there, bundled.path)

    after = run_history.find(there, bundled.run)
    assert (done.is_new, done.unsigned) == (True, 0)
    assert [(step.function, step.started, step.after) for step in after.steps] == [
        (step.function, step.started, step.after) for step in before.steps
    ]
    assert {ref.bucket for ref in artifacts_of(after).values()} == {there.bucket}
    for digest, ref in artifacts_of(after).items():
        assert ref.digest == digest
        there.verify(ref)


def test_its_values_are_read_where_the_key_is_the_same(storage, bundled, elsewhere):
    there = elsewhere()
    import_bundle(there, bundled.path)

    steps = {step.function: step for step in run_history.find(there, bundled.run).steps}

    assert there.get(steps["model"].outputs[0].ref).weight == sum(range(10_000))
    assert (there.path(steps["folder"].outputs[0].ref) / "a" / "small.txt").read_text() == "small"
    assert np.array_equal(there.get(steps["numbers"].outputs[0].ref), np.arange(10_000))


def test_artifacts_within_others_are_read_after_the_first_bucket_is_gone(storage, bundled, elsewhere):
    (several,) = [step for step in run_history.find(storage, bundled.run).steps if step.function == "several"]
    storage.delete_bucket(storage.bucket, force=True)
    there = elsewhere()

    done = import_bundle(there, bundled.path)

    ref = next(iter(artifacts_of(run_history.find(there, bundled.run)).values()))
    moved = ArtifactRef.parse(several.outputs[0].ref.uri.replace(storage.bucket, there.bucket))
    assert ref.bucket == there.bucket
    assert [each[0] for each in there.get(moved)] == [0, 1, 2]
    assert done.elsewhere == (storage.bucket,)


@pytest.mark.parametrize("room", [0, 1 << 20], ids=["a record of its own", "the record of the run alone"])
def test_a_bundle_of_one_step_has_its_function_whichever_record_tells_it(
    storage, elsewhere, tmp_path, monkeypatch, request, room
):
    monkeypatch.setattr(record_writer, "_GATHERING", 60.0)
    monkeypatch.setattr(run_record, "WHOLE_MAX", room)
    past = run_history.find(storage, request.getfixturevalue("ran"))
    (numbers,) = [step for step in past.steps if step.function == "numbers"]
    one = export(storage, past, tmp_path / "step.zip", only=numbers)
    whole = export(storage, past, tmp_path / "run.zip")
    there = elsewhere()
    import_bundle(there, tmp_path / "step.zip")

    (arrived,) = [step for step in run_history.find(there, past.key).steps if step.function == "numbers"]

    assert len(list(storage.iter_objects(storage.bucket, f"runs/{past.key}/steps/"))) == (0 if room else 5)
    assert [entry.name for entry in one.records] == [f"records/steps/{numbers.key}.json", "records/run.json"]
    assert len(whole.records) == 6
    assert "np.arange(n)" in there.get(arrived.source)
    there.verify(arrived.shipped)
    assert arrived.given == {"n": 10_000}


def test_an_access_key_of_one_bucket_is_enough(arrived, elsewhere, tmp_path):
    key, secret = add_key(tmp_path / "keys.json", [Statement.parse("read,list,write,admin:test-elsewhere")])
    with local_server(keys=tmp_path / "keys.json") as server:
        there = elsewhere(endpoint=server.endpoint, access_key=key.id, secret_key=secret)
        done = import_bundle(there, arrived.path)

        assert (done.elsewhere, done.refused) == ((), ("test-origin",))
        for ref in artifacts_of(run_history.find(there, arrived.run)).values():
            there.verify(ref)


def test_without_the_key_pickles_stay_unread_and_everything_else_is_read(bundled, elsewhere):
    there = elsewhere(signing_key="another key than that of the run")

    done = import_bundle(there, bundled.path)

    steps = {step.function: step for step in run_history.find(there, bundled.run).steps}
    assert done.unsigned > 0
    assert len(there.get(steps["numbers"].outputs[0].ref)) == 10_000
    with pytest.raises(UnsafeFormatError):
        there.get(steps["model"].outputs[0].ref)


def test_importing_again_changes_nothing_and_sends_no_artifact(bundled, elsewhere):
    there = elsewhere()
    import_bundle(there, bundled.path)
    before = stored(there)

    assert not import_bundle(there, bundled.path).is_new
    assert stored(there) == before


def test_two_imports_at_the_same_time_both_succeed(bundled, elsewhere):
    there = elsewhere()
    others = []

    def progress(done, total):
        # When its first object is sent, the one import has found no run, and has not written its record.
        if done > verified and not others:
            others.append(import_bundle(there, bundled.path))

    with zipfile.ZipFile(bundled.path) as archive:
        listed = json.loads(archive.read("bundle.json"))
    verified = sum(entry["size"] for entry in [*listed["records"], *listed["objects"]])

    done = import_bundle(there, bundled.path, progress=progress)

    assert [other.is_new for other in others] == [True]
    assert not done.is_new


def stored(storage):
    heads = [head for prefix in ("a/", "runs/") for head in storage.iter_objects(storage.bucket, prefix)]
    return {head["key"]: head["generation"] for head in heads}


def test_an_imported_run_is_found_by_its_artifacts(bundled, elsewhere):
    there = elsewhere()
    # As after years of runs, of which all older ones are known to be in the index.
    record_store.write(there, INDEXED, {"lineage": 1, "until": "7" + "Z" * 25})
    import_bundle(there, bundled.path)

    refs = artifacts_of(run_history.find(there, bundled.run)).values()
    assert all([entry.run for entry in RunIndex(there).entries(digits_of(ref))] == [bundled.run] for ref in refs)


def test_a_run_of_the_same_id_with_other_content_is_refused_before_anything_is_stored(bundled, elsewhere):
    there = elsewhere()
    key = f"runs/{bundled.run}/run.json"
    record_store.write(there, key, {"run": 1, "workflow": "another", "status": "succeeded"})

    with pytest.raises(AlreadyExistsError, match="with other content"):
        import_bundle(there, bundled.path)
    assert [head["key"] for head in there.iter_objects(there.bucket, "")] == [key]


@pytest.fixture
def twice(storage, tmp_path, empty_registry):
    """The bundles of one run, made while it went on and after its end."""
    paths = tmp_path / "early.zip", tmp_path / "late.zip"

    @function
    @with_storage
    def exporting(n, storage: Storage):
        written = threading.Event()
        while not run_history.recent(storage, 1):
            assert not written.wait(0.01)
        export(storage, run_history.find(storage, "last"), paths[0])
        return np.arange(n)

    @workflow
    def flow(wf):
        return wf.call("exporting", {"n": wf.input()["n"]})

    run(flow, {"n": 10_000}, materialize=False)
    export(storage, run_history.find(storage, "last"), paths[1])
    return paths


def a_minute_later(monkeypatch):
    genuine = time.time
    monkeypatch.setattr(run_history.time, "time", lambda: genuine() + 61)


def test_a_bundle_of_a_run_that_went_on_gives_way_to_a_later_one_after_a_minute(twice, elsewhere, monkeypatch):
    early, late = twice
    there = elsewhere()
    import_bundle(there, early)
    with pytest.raises(AlreadyExistsError, match="goes on here, or was imported within the last minute"):
        import_bundle(there, late)
    before = run_history.find(there, "last").status
    with monkeypatch.context() as patch:
        a_minute_later(patch)
        done = import_bundle(there, late)

    after = run_history.find(there, "last")
    assert (before, done.is_new, after.status, len(after.steps)) == ("running", True, "succeeded", 1)
    assert not import_bundle(there, early).is_new
    assert run_history.find(there, "last") == after


def test_a_bundle_of_another_run_takes_the_place_of_none_that_had_not_ended(twice, elsewhere, monkeypatch):
    early, late = twice
    there = elsewhere()
    import_bundle(there, early)
    key = f"runs/{run_history.find(there, 'last').key}/run.json"
    content = record_store.read(there, key).content
    record_store.write(there, key, {**content, "in": {"n": []}, "started": content["started"] + 1})
    a_minute_later(monkeypatch)

    with pytest.raises(AlreadyExistsError, match="with other content"):
        import_bundle(there, late)


def test_a_run_is_seen_when_all_of_it_is_there_and_not_before(bundled, storage_faults, elsewhere):
    there = elsewhere()
    with storage_faults.full_disk(), pytest.raises(ResourceExhaustedError):
        import_bundle(there, bundled.path)
    assert run_history.recent(there, 10) == []

    assert import_bundle(there, bundled.path).is_new
    assert [run.key for run in run_history.recent(there, 10)] == [bundled.run]


def test_equal_runs_have_equal_bundles(bundled, elsewhere, tmp_path):
    there = elsewhere(bucket="test-again")
    import_bundle(there, bundled.path)
    paths = tmp_path / "one.zip", tmp_path / "two.zip"

    for path in paths:
        export(there, run_history.find(there, bundled.run), path)

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_ordinary_unzip_finds_files_under_names_that_people_know(bundled, tmp_path):
    with zipfile.ZipFile(bundled.path) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "out")

    (array,) = (tmp_path / "out" / "artifacts").glob("numbers-*.npy")
    assert names[0] == "bundle.json"
    assert "records/run.json" in names
    assert any(name.endswith("/a/small.txt") for name in names)
    assert len(json.loads((tmp_path / "out" / "bundle.json").read_text())["objects"]) == len(
        [name for name in names if name.startswith(("artifacts/", "objects/"))]
    )
    assert len(np.load(array)) == 10_000 if array.is_file() else array.is_dir()


def test_every_listed_digest_is_what_sha256sum_says(bundled, tmp_path):
    with zipfile.ZipFile(bundled.path) as archive:
        archive.extractall(tmp_path)
        contents = json.loads(archive.read("bundle.json"))

    lines = "".join(f"{each['sha256']}  {each['name']}\n" for each in contents["records"] + contents["objects"])
    done = subprocess.run(["sha256sum", "--check", "--quiet"], input=lines, cwd=tmp_path, text=True, check=False)
    assert done.returncode == 0


def test_an_artifact_that_is_gone_is_an_error_or_left_out_as_wished(storage, ran, elsewhere, tmp_path):
    past = run_history.find(storage, ran)
    (numbers,) = [step.outputs[0].ref for step in past.steps if step.function == "numbers"]
    storage.delete_object(numbers.bucket, numbers.key)

    with pytest.raises(ArtifactNotFoundError, match="--incomplete"):
        export(storage, past, tmp_path / "a.zip")
    contents = export(storage, past, tmp_path / "a.zip", incomplete=True)

    assert contents.missing == (numbers.digest,)
    assert import_bundle(elsewhere(), tmp_path / "a.zip").is_new


def test_a_damaged_artifact_leaves_no_file(storage, ran, tmp_path):
    past = run_history.find(storage, ran)
    (ref,) = [step.outputs[0].ref for step in past.steps if step.function == "model"]
    storage.put_object(ref.bucket, ref.key, b"x" * ref.size)

    with pytest.raises(DigestMismatchError):
        export(storage, past, tmp_path / "a.zip")
    assert list(tmp_path.glob("*")) + list(tmp_path.glob(".*")) == []


def test_a_file_that_exists_is_replaced_only_if_that_is_asked_for(storage, bundled):
    bundled.path.write_bytes(b"old")
    past = run_history.find(storage, bundled.run)

    with pytest.raises(FileExistsError):
        export(storage, past, bundled.path)
    assert bundled.path.read_bytes() == b"old"
    export(storage, past, bundled.path, replace=True)
    assert zipfile.is_zipfile(bundled.path)


def test_no_device_is_replaced_by_a_file_and_a_link_leads_to_its_file(storage, bundled, tmp_path):
    past = run_history.find(storage, bundled.run)
    pipe, link = tmp_path / "pipe", tmp_path / "link.zip"
    os.mkfifo(pipe)
    link.symlink_to(bundled.path)

    with pytest.raises(InvalidParameterError, match="no regular file"):
        export(storage, past, pipe, replace=True)
    export(storage, past, link, replace=True)

    assert link.is_symlink()
    assert zipfile.is_zipfile(bundled.path)


def test_names_of_any_script_stay_readable(storage, ran, tmp_path):
    past = run_history.find(storage, ran)
    export(storage, past, tmp_path / "a.zip")

    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()

    assert any("/largeä.bin.parts/" in name for name in names)


def test_progress_reaches_its_total(storage, ran, elsewhere, tmp_path):
    told = []
    export(storage, run_history.find(storage, ran), tmp_path / "a.zip", progress=lambda *moved: told.append(moved))

    assert told[-1][0] == told[-1][1]
    told.clear()
    import_bundle(elsewhere(), tmp_path / "a.zip", progress=lambda *moved: told.append(moved))
    assert told[-1][0] == told[-1][1]


@pytest.mark.slow
def test_memory_is_bounded_whatever_an_artifact_takes(storage, tmp_path):
    """A file of 256 MiB goes through a process that grows by less than half of it."""
    code = f"""
import os, resource
from pathlib import Path
from lucas_storage import Storage, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.bundles.export import export
from lucas_storage.bundles.import_run import import_bundle
from lucas_storage.records import run_history

@function
@with_storage
def large(storage):
    path = storage.scratch() / "large.bin"
    with path.open("wb") as file:
        for number in range(256):
            file.write(number.to_bytes(1, "big") * (1 << 20))
    return path

@workflow
def study(wf):
    return wf.call("large", {{}})

run(study, {{}}, materialize=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Storage() as storage:
    export(storage, run_history.find(storage, "last"), Path({str(tmp_path / "a.zip")!r}))
    import_bundle(storage, Path({str(tmp_path / "a.zip")!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert int(done.stdout.split()[-1]) < 128 << 10
