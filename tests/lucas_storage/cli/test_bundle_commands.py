"""`export` and `import`: one file from one server to another, and nothing left where it is interrupted."""

from __future__ import annotations

import json
import signal
import time

import pytest

from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, install, workflow
from lucas_storage.records import record_store
from lucas_storage.records.ulid import ulid


@pytest.fixture
def past(client, tmp_path, monkeypatch, empty_registry):
    """A run of one step, whose name could move a cursor."""
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "my-bucket")
    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    install()

    @function
    @with_storage(inline_max=0)
    def words(n):
        return ["word"] * n

    @workflow
    def study(wf):
        return wf.call("words", {"n": 10})

    with storage_context(endpoint=client.endpoint), Storage():
        run(study, {}, materialize=False)


def test_a_run_goes_from_one_bucket_to_another(past, invoke, tmp_path, monkeypatch):
    exported = invoke("export", "last", "run.zip")
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "second")
    imported = invoke("import", "run.zip")

    assert exported.exit_code == imported.exit_code == 0, exported.output + imported.output
    assert exported.stdout.startswith("exported 0")
    assert "to run.zip, 2 objects" in exported.stdout
    assert "into second" in imported.stdout
    assert "study, 1 step" in invoke("runs").stdout
    assert "already, with the same content" in invoke("import", "run.zip").stdout


def test_a_run_that_goes_on_is_exported_with_a_caution(past, client, invoke):
    content = {"run": 1, "workflow": "w", "status": "running", "started": time.time(), "beat": time.time(), "steps": []}
    with storage_context(endpoint=client.endpoint), Storage() as storage:
        record_store.write(storage, f"runs/{(key := ulid())}/run.json", content)

    assert f"the run {key} has not ended" in invoke("export", key, "going.zip").stderr
    assert invoke("export", "last~1", "ended.zip").stderr == ""


def test_programs_get_json(past, invoke, monkeypatch):
    exported = json.loads(invoke("export", "last", "run.zip", "--json").stdout)
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "second")
    imported = json.loads(invoke("import", "run.zip", "--json").stdout)

    assert exported["workflow"] == "study"
    assert exported["objects"] == imported["objects"] == 2
    assert imported["run"] == exported["run"]
    assert imported["new"] is True


def test_nothing_is_told_where_that_is_wished(past, invoke):
    assert invoke("export", "last", "run.zip", "--quiet").output == ""
    assert invoke("import", "run.zip", "-q").output == ""


def test_a_file_that_exists_is_kept(past, invoke, tmp_path):
    (tmp_path / "run.zip").write_text("old")

    done = invoke("export", "last", "run.zip")

    assert (done.exit_code, (tmp_path / "run.zip").read_text()) == (6, "old")
    assert "--force" in done.stderr
    assert invoke("export", "last", "run.zip", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("export", "ZZ", "a.zip"), 3, "there is no run 'ZZ'"),
        (("export", "last"), 2, "Missing argument 'FILE'"),
        (("export", "last", "missing/a.zip"), 3, "No such file"),
        (("import", "missing.zip"), 3, "No such file"),
        (("import", "text.zip"), 1, "is no bundle"),
        (("import", "."), 2, "is a directory"),
    ],
)
def test_mistakes_are_told_in_a_line(past, invoke, tmp_path, arguments, code, text):
    (tmp_path / "text.zip").write_text("text")

    done = invoke(*arguments)

    assert done.exit_code == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_interrupted_export_leaves_no_file(lucas_storage, served):
    script = lucas_storage.script(
        """
        from lucas import function, workflow
        import lucas_storage
        from lucas_storage import with_storage

        @function
        @with_storage
        def large(storage):
            path = storage.scratch() / "large.bin"
            with path.open("wb") as file:
                for number in range(200):
                    file.write(bytes([number]) * (1 << 20))
            return path

        @workflow
        def study(wf):
            return wf.call("large", {})

        lucas_storage.run(study, {}, materialize=False)
        """
    )
    data = ("--data", served / ".lucas-storage")
    assert lucas_storage.run("run", *data, script.name).returncode == 0
    process = lucas_storage.start("export", *data, "last", "run.zip")
    while not list(lucas_storage.folder.glob(".run.zip.*")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode in (130, 0)
    assert list(lucas_storage.folder.glob(".run.zip*")) == []
    assert (lucas_storage.folder / "run.zip").exists() == (process.returncode == 0)
