"""What a step, a cached result and a run ask of the store: the fewest calls, and no bytes twice."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import pytest

from actorc.storage.errors import NetworkError, PermissionError
from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage import settings as lucas_settings
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store, record_writer, run_history

METHODS = (
    "put_object",
    "put_objects",
    "upload_from_stream",
    "upload_file",
    "get_object",
    "get_objects",
    "head_object",
    "stream_object",
    "download_to_stream",
    "open_object",
    "list_objects",
    "create_bucket",
)


@dataclass
class Model:
    number: int
    weights: np.ndarray


@pytest.fixture
def asked(storage, monkeypatch):
    """The calls to the store from now on, each with its arguments; the bucket is there."""
    calls: list[tuple[str, tuple]] = []

    def counted(name):
        genuine = getattr(Storage, name)

        def method(self, *args, **kwargs):
            calls.append((name, args))
            return genuine(self, *args, **kwargs)

        return method

    for name in METHODS:
        monkeypatch.setattr(Storage, name, counted(name))
    return calls


@pytest.fixture
def gathered(monkeypatch):
    """Let records wait for the end of their run, however slow the machine is."""
    monkeypatch.setattr(record_writer, "_GATHERING", 60.0)


def names(calls):
    return [name for name, _ in calls]


def chain_of(*bodies):
    """Return a workflow whose steps each take what the one before returned."""
    for body in bodies:
        function(name=body.__name__)(with_storage(body))

    @workflow
    def chain(wf):
        value = wf.input()["x"]
        for body in bodies:
            value = wf.call(body.__name__, {"x": value})
        return value

    return chain


def test_a_reference_becomes_a_value_and_a_value_a_reference_by_one_call_each(asked, tmp_path):
    ref = with_storage(lambda n: np.arange(n))(n=1000)
    stored = names(asked)
    asked.clear()

    with storage_context(cache_dir=tmp_path / "another"):
        total = with_storage(lambda x: int(x.sum()))
        assert total(x=ref) == total(x=ref) == 499_500

    assert stored == ["put_object"]
    assert names(asked) == ["get_object"]


def test_the_small_artifacts_of_a_result_are_stored_by_one_call(asked, storage):
    def arrays(n):
        return {"all": [np.arange(n + one) for one in range(20)], "again": np.arange(n), "large": np.arange(40 * n)}

    out = with_storage(arrays)(n=1000)
    stored = sorted(names(asked))
    asked.clear()
    with_storage(arrays)(n=1000)
    again = names(asked)
    value = storage.get(ArtifactRef.parse(out["all"][7]))

    assert stored == ["put_object", "put_objects"]
    assert again.count("put_objects") == 1
    assert "put_object" not in again
    assert value.tolist() == list(range(1007))
    assert out["again"] == out["all"][0]


def test_the_objects_of_a_result_are_stored_by_one_call(asked):
    given = [Model(number, np.arange(2000) + number) for number in range(5)]

    @with_storage
    def models():
        return given

    @with_storage
    def same(found):
        return all(a.number == b.number and (a.weights == b.weights).all() for a, b in zip(found, given, strict=True))

    asked.clear()
    refs = models()
    # The arrays within them before, since each object refers to its own.
    assert names(asked) == ["put_objects", "put_objects"]
    assert same(refs)


def test_what_lies_damaged_in_the_place_of_a_small_artifact_is_replaced(asked, storage):
    def arrays():
        return [np.arange(1000), np.arange(1001)]

    first, _ = map(ArtifactRef.parse, with_storage(arrays)())
    storage.put_object(first.bucket, first.key, b"other bytes")
    with_storage(arrays)()

    assert storage.get(first).tolist() == list(range(1000))


def test_an_artifact_of_several_that_cannot_be_stored_is_the_error_of_its_step(settings, monkeypatch):
    def refused(_, bucket, objects, **__):
        return {"stored": [], "errors": {objects[1]["key"]: PermissionError("not yours", bucket=bucket)}}

    monkeypatch.setattr(Storage, "put_objects", refused)

    with pytest.raises(PermissionError, match="not yours"):
        with_storage(lambda: [np.arange(1000), np.arange(1001)])()


def test_small_values_and_a_step_that_stores_nothing_ask_nothing(asked):
    assert with_storage(lambda x: x)(x={"a": [1, 2.5, "text"]}) == {"a": [1, 2.5, "text"]}
    assert with_storage(lambda x: int(x.sum()))(x=with_storage(lambda n: np.arange(n))(n=10)) == 45
    assert asked == []


def test_a_cached_result_costs_one_call_and_one_for_each_artifact(asked):
    data = with_storage(cache=True, version="1")(lambda n: {"n": n})
    array = with_storage(cache=True, version="2")(lambda n: np.arange(n))
    data(n=1), array(n=1000)
    asked.clear()

    data(n=1)
    of_data = names(asked)
    asked.clear()
    assert ArtifactRef.parse(array(n=1000)).size > 4096

    assert of_data == ["head_object"]
    assert names(asked) == ["head_object", "head_object"]


@pytest.mark.usefixtures("empty_registry", "gathered")
def test_all_records_of_a_quick_run_take_one_call(asked, storage):
    def scale(x: np.ndarray) -> np.ndarray:
        return x * 3

    def shift(x: np.ndarray) -> np.ndarray:
        return x + 1

    def total(x: np.ndarray) -> int:
        return int(x.sum())

    chain = chain_of(scale, shift, total)
    run(chain, {"x": np.arange(127)})
    # The first run stores the functions as well, with their sources.
    first = names(asked)
    asked.clear()
    assert run(chain, {"x": np.arange(128)}) == 24_512
    ((name, (bucket, objects)),) = asked
    prefixes = [each["key"].partition("/")[0] for each in objects]

    assert (name, bucket) == ("put_objects", storage.bucket)
    assert first == ["put_objects"] * 2
    # The steps are in the record of their run.
    assert sorted(prefixes) == ["lineage", *["memo"] * 3, "runs"]
    assert [sorted(step.given) for step in run_history.find(storage, "last").steps] == [["x"]] * 3
    assert sum(len(each["data"]) for each in objects) < 20_000


@pytest.mark.usefixtures("empty_registry", "gathered", "settings")
def test_the_caller_of_a_quick_run_sends_its_records_itself_once_its_functions_are_stored(monkeypatch):
    senders = []
    genuine = record_store.write_all

    def noted(records, timeout):
        senders.append(threading.get_ident())
        genuine(records, timeout)

    def grow(x):
        return x + 1

    chain = chain_of(grow)
    monkeypatch.setattr(record_store, "write_all", noted)
    run(chain, {"x": 1})
    run(chain, {"x": 2})

    first, second = senders
    assert first != threading.get_ident()
    assert second == threading.get_ident()


@pytest.mark.usefixtures("empty_registry", "gathered", "settings")
def test_a_result_goes_where_the_settings_around_a_call_within_a_step_say(storage):
    @with_storage
    def inner(x):
        return x + 1

    def outer(x):
        with storage_context(bucket="elsewhere"):
            return inner(x=x)

    run(chain_of(outer), {"x": 1})

    results = {
        bucket: list(storage.iter_objects(bucket, record_store.MEMO)) for bucket in (storage.bucket, "elsewhere")
    }
    assert [len(found) for found in results.values()] == [1, 1]


@pytest.mark.usefixtures("empty_registry", "gathered", "settings")
def test_a_run_and_each_of_its_steps_look_up_their_settings_once(monkeypatch):
    asked = []

    def counted(name):
        genuine = getattr(lucas_settings, name)
        return lambda: asked.append(name) or genuine()

    def grow(x):
        return x + 1

    chain = chain_of(grow, *[grow] * 9)
    run(chain, {"x": 1})
    for name in ("resolve", "of_step"):
        monkeypatch.setattr(lucas_settings, name, counted(name))
    run(chain, {"x": 2})

    assert asked.count("resolve") == 1
    assert asked.count("of_step") == 10


@pytest.mark.usefixtures("empty_registry", "gathered")
def test_steps_that_the_record_of_a_quick_run_has_no_room_for_have_their_own(storage):
    def first(x):
        return x + 1

    def second(x):
        return x * 2

    def third(x):
        return int(x.sum())

    # Half of the room each, as text.
    assert run(chain_of(first, second, third), {"x": np.zeros(450)}) == 900
    past = run_history.find(storage, "last")

    assert len(list(storage.iter_objects(storage.bucket, f"runs/{past.key}/steps/"))) == 2
    assert [sorted(step.given) for step in past.steps] == [["x"]] * 3


@pytest.mark.usefixtures("empty_registry", "gathered", "settings")
def test_records_that_wait_for_others_take_no_time_from_the_steps(monkeypatch):
    awakened = []

    class Counted(SimpleQueue):
        def put(self, item):
            awakened.append(item)
            super().put(item)

    def grow(x):
        return x + 1

    chain = chain_of(grow, *[grow] * 9)
    run(chain, {"x": 1})
    monkeypatch.setattr(record_writer, "SimpleQueue", Counted)

    assert run(chain, {"x": 2}) == 12
    # By the first record, and by the end of the run.
    assert len(awakened) == 2


@pytest.mark.usefixtures("empty_registry")
def test_records_are_written_while_the_run_goes_on(settings):
    seen = threading.Event()

    def first(x):
        return x + 1

    def second(x, storage):
        # Not the last moment: a run that is killed now is resumed from the first step.
        while not list(storage.iter_objects(storage.bucket, "memo/")):
            assert not seen.wait(0.01)
        return x + 1

    assert run(chain_of(first, second), {"x": 1}) == 3


@pytest.mark.usefixtures("empty_registry", "gathered")
def test_records_are_there_when_a_failed_run_has_ended(settings, storage):
    def first(x):
        return x + 1

    def second(x):
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        run(chain_of(first, second), {"x": 1})

    past = run_history.find(storage, "last")
    assert (past.status, [step.function for step in past.steps]) == ("failed", ["first", "second"])
    assert len(list(storage.iter_objects(storage.bucket, "memo/"))) == 1


@pytest.mark.usefixtures("empty_registry", "gathered", "settings")
@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: (_ for _ in ()).throw(NetworkError("away")),
        lambda _, bucket, objects, **__: {
            "stored": [],
            "errors": {objects[0]["key"]: PermissionError("not yours", bucket=bucket)},
        },
    ],
    ids=["all", "one of them"],
)
def test_a_record_that_cannot_be_written_is_told_once_and_fails_no_step(answer, monkeypatch, caplog):
    def first(x):
        return x + 1

    def second(x):
        return x * 2

    monkeypatch.setattr(Storage, "put_objects", answer)
    with caplog.at_level(logging.WARNING, "lucas_storage"):
        assert run(chain_of(first, second), {"x": 1}) == 4

    assert [record.getMessage()[:38] for record in caplog.records] == ["records of this run are not written be"]
