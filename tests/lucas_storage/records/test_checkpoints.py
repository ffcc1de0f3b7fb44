"""`storage.checkpoint()`: a step that is tried again goes on where it stopped."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from lucas_storage import Storage, storage_context, with_storage
from lucas_storage.errors import CacheKeyError
from lucas_storage.records import record_store


class Model:
    """A class that no format but pickle holds."""

    def __init__(self, weight):
        self.weight = weight


def only_record(storage):
    (head,) = storage.iter_objects(storage.bucket, "checkpoints/")
    return record_store.read(storage, head["key"])


@with_storage
def train(epochs, storage, fails=False):
    checkpoint = storage.checkpoint()
    state = checkpoint.load(default={"epoch": 0, "w": np.zeros(3), "trained": 0})
    state["trained"] = 0
    while state["epoch"] < epochs:
        state = {"epoch": state["epoch"] + 1, "w": state["w"] + 1, "trained": state["trained"] + 1}
        checkpoint.save(state)
        if os.environ.get("FAIL_AT") == str(state["epoch"]):
            raise InterruptedError
    return {"w": state["w"].tolist(), "trained": state["trained"]}


def test_another_attempt_goes_on(settings, monkeypatch):
    monkeypatch.setenv("FAIL_AT", "2")
    with pytest.raises(InterruptedError):
        train(epochs=5)
    monkeypatch.delenv("FAIL_AT")

    assert train(epochs=5) == {"w": [5.0, 5.0, 5.0], "trained": 3}


def test_other_inputs_begin_anew(settings):
    train(epochs=2)

    assert train(epochs=3)["trained"] == 3


def test_another_version_begins_anew(settings):
    def version(text):
        @with_storage(version=text)
        def step(storage):
            found = storage.checkpoint().load(default="nothing")
            storage.checkpoint().save(text)
            return found

        return step

    assert [version(each)() for each in ("1", "2", "1")] == ["nothing", "nothing", "1"]


def test_what_was_cleared_is_forgotten(settings):
    @with_storage
    def step(storage):
        checkpoint = storage.checkpoint()
        checkpoint.clear()
        before = checkpoint.load()
        checkpoint.save(b"state")
        saved = checkpoint.load()
        checkpoint.clear()
        return [before, saved == b"state", checkpoint.load(default=7)]

    assert step() == [None, True, 7]


def test_steps_within_a_step_have_their_own(settings):
    @with_storage
    def inner(storage):
        storage.checkpoint().save("inner")
        return 1

    @with_storage
    def outer(storage):
        storage.checkpoint().save("outer")
        inner()
        return storage.checkpoint().load()

    assert outer() == "outer"


def test_a_checkpoint_belongs_to_a_step(storage):
    with pytest.raises(RuntimeError, match="checkpoints belong to a step and none is running"):
        storage.checkpoint()


def test_inputs_without_a_digest_have_no_checkpoint(settings):
    @with_storage
    def step(model, storage):
        return storage.checkpoint().load()

    with pytest.raises(CacheKeyError, match="parameter 'model' of 'step'"):
        step(model=Model(1))


def test_an_object_comes_back_if_it_was_signed(storage, caplog):
    @with_storage
    def step(storage):
        found = storage.checkpoint().load(default=Model(0))
        storage.checkpoint().save(Model(found.weight + 1))
        return found.weight

    before = [step(), step()]
    record = only_record(storage)
    record_store.write(storage, record.key, {**record.content, "value": record.content["value"].signed(None)})

    with caplog.at_level(logging.WARNING):
        after = step()

    assert (before, after) == ([0, 1], 0)
    assert "is not used because of UnsafeFormatError; the step begins anew" in caplog.text


def test_an_unsigned_object_deep_inside_is_not_opened(storage):
    @with_storage
    def step(storage):
        found = storage.checkpoint().load(default="nothing")
        storage.checkpoint().save([Model(1), b"x" * 100_000])
        return type(found).__name__

    with storage_context(signing_key="quite another key for tests"):
        step()

    assert [step(), step()] == ["str", "list"]


def test_a_checkpoint_whose_artifact_is_gone_is_none(storage, tmp_path):
    train(epochs=2)
    storage.delete_object(storage.bucket, only_record(storage).content["value"].key)

    with storage_context(cache_dir=tmp_path / "another"):
        assert train(epochs=2)["trained"] == 2


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"value": 3}', b'{"value": {"$artifact": "lucas:bad"}}'])
def test_a_record_that_is_none_is_no_checkpoint(storage, text):
    train(epochs=2)
    storage.put_object(storage.bucket, only_record(storage).key, text)

    assert train(epochs=2)["trained"] == 2


KILLED = """
import os, signal, sys
import numpy as np
from lucas_storage import with_storage

@with_storage
def train(epochs, storage):
    checkpoint = storage.checkpoint()
    state = checkpoint.load(default={"epoch": 0, "w": np.zeros(100_000)})
    began = state["epoch"]
    for epoch in range(began, epochs):
        state = {"epoch": epoch + 1, "w": state["w"] + 1}
        checkpoint.save(state)
        if len(sys.argv) > 1 and epoch + 1 == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
    return [began, float(state["w"].sum())]

print(train(epochs=6))
"""


@pytest.mark.thorough
@pytest.mark.slow
def test_a_step_that_was_killed_goes_on_where_it_was(settings, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(KILLED)
    given = {
        **os.environ,
        "STORAGE_ENDPOINT": settings["endpoint"],
        "LUCAS_STORAGE_BUCKET": settings["bucket"],
        "LUCAS_STORAGE_CACHE": str(settings["cache_dir"]),
    }

    def attempt(*arguments):
        command = [sys.executable, script, *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)

    killed, last = attempt("4"), attempt()

    assert killed.returncode == -signal.SIGKILL
    assert last.stdout == "[4, 600000.0]\n", last.stderr


def test_a_shared_handle_has_the_checkpoint_of_whoever_asks(settings):
    shared = Storage()

    @with_storage
    def step(x):
        shared.checkpoint().save(x)
        return shared.checkpoint().load()

    assert [step(x=1), step(x=2)] == [1, 2]
    shared.close()
