"""``rt.storage``: values by name, shared by the functions of a workflow, kept by this service."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lucas_storage import run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime
from lucas_storage.errors import UnsafeFormatError
from lucas_storage.steps.runtime import RuntimeStorage


class Model:
    """A class that no format but pickle holds."""

    def __init__(self, weight):
        self.weight = weight


@pytest.fixture
def values(storage):
    return RuntimeStorage(storage, "flow")


@pytest.mark.parametrize("value", [1, None, "text", b"bytes", [1, {"a": (2, 3)}]], ids=repr)
def test_values_come_back(values, value):
    values.put("a/b", value)

    assert value == values.get("a/b")


def test_arrays_and_objects_come_back(values):
    values.put("array", np.arange(100_000))
    values.put("model", Model(3))

    assert values.get("array").sum() == 4999950000
    assert values.get("model").weight == 3


def test_the_last_value_of_a_name_wins(values):
    values.put("x", 1)
    values.put("x", "two")

    assert values.get("x") == "two"


def test_names_are_listed_found_and_removed(values):
    assert values.list() == []
    for name in ("b", "a/c"):
        values.put(name, 1)

    assert values.list() == ["a/c", "b"]
    assert (values.exists("b"), values.exists("c")) == (True, False)
    values.delete("b")
    values.delete("b")
    assert values.list() == ["a/c"]


def test_get_gives_up_after_its_timeout_in_milliseconds(values):
    assert values.get("none", 20) is None
    assert values.get("none", 0) is None


def test_get_waits_for_the_value(values):
    putter = threading.Timer(0.02, values.put, ("late", 5))
    putter.start()

    assert values.get("late") == 5
    putter.join()


def test_a_pickle_without_its_signature_is_refused(values, storage):
    values.put("model", Model(3))
    head = storage.head_object(storage.bucket, "rt/flow/model")
    data = storage.get_object(storage.bucket, "rt/flow/model")
    unsigned = {name: text for name, text in head["metadata"].items() if "signature" not in name}

    storage.put_object(storage.bucket, "rt/flow/model", data, metadata=unsigned)
    with pytest.raises(UnsafeFormatError, match="not signed"):
        values.get("model")
    storage.put_object(storage.bucket, "rt/flow/other", data, metadata=head["metadata"])
    with pytest.raises(UnsafeFormatError, match="was not made with a key"):
        values.get("other")


def test_a_pickle_is_not_written_without_a_key(values):
    with storage_context(pickle="deny"), pytest.raises(UnsafeFormatError):
        values.put("model", Model(1))

    assert values.list() == []


def test_what_others_put_there_is_text_or_bytes(values, storage):
    storage.put_object(storage.bucket, "rt/flow/text", "héllo".encode())
    storage.put_object(storage.bucket, "rt/flow/bytes", b"\xff")

    assert (values.get("text"), values.get("bytes")) == ("héllo", b"\xff")


@pytest.mark.usefixtures("empty_registry")
def test_the_functions_of_a_workflow_share_names(settings, storage):
    @function
    @with_storage
    def left(rt):
        rt.storage.put("words", ["a", "b"])
        return 1

    @function
    @with_storage
    def right(rt):
        return rt.storage.get("words", 1000)

    @workflow
    def counting(wf):
        return wf.call("right", {"after": wf.call("left", {})})

    assert run(counting) == ["a", "b"]
    assert storage.object_exists(storage.bucket, "rt/counting/words")


def test_outside_run_names_are_shared_by_all_functions(storage):
    @with_storage
    def put(rt):
        rt.storage.put("x", 1)

    put(LocalOnceRuntime.serving({}, {}))

    assert storage.object_exists(storage.bucket, "rt/shared/x")
