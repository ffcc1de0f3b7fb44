"""What records hold of functions, arguments and errors, and what they do not."""

from __future__ import annotations

import importlib
import re
import sys
import threading
import time

import cloudpickle
import numpy as np
import pytest

from actorc.storage.errors import NetworkError
from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.live_objects import live_objects
from lucas_storage.gc.policy import NO_POLICY
from lucas_storage.records import record_store, record_text, record_writer, run_history, run_record
from lucas_storage.records.recorded_values import recorded, says_secret
from lucas_storage.refs import inline_ref

pytestmark = pytest.mark.usefixtures("empty_registry")

SECRET = "hunter2-hunter2"


def flow_of(body, *names):
    """Return a workflow of one step, with inputs of these names."""
    function(name=body.__name__)(body if hasattr(body, "__wrapped__") else with_storage(body))

    @workflow
    def flow(wf):
        return wf.call(body.__name__, {name: wf.input()[name] for name in names})

    return flow


def last(storage):
    return run_history.find(storage, "last")


def texts(storage):
    """Return the bytes of all that lies in the bucket."""
    return [storage.get_object(storage.bucket, each["key"]) for each in storage.iter_objects(storage.bucket)]


# Functions


def test_the_source_of_a_function_can_be_read_in_its_record(storage):
    def grow(x):
        # The reason why.
        return x + 1

    run(flow_of(grow, "x"), {"x": 1})
    source = last(storage).steps[0].source

    assert source.format == "text@1"
    first, *rest = source.load().splitlines()
    assert re.fullmatch(r"# .*/test_recorded_details\.py, line \d+", first)
    assert rest == ["    def grow(x):", "        # The reason why.", "        return x + 1"]


def test_a_function_is_recorded_so_that_it_can_be_called_again(storage):
    def grow(x, by: np.ndarray):
        return x + int(by.sum())

    run(flow_of(grow, "x", "by"), {"x": 1, "by": np.ones(10_000)})
    (step,) = last(storage).steps

    assert step.shipped.signature is not None
    assert step.shipped.load()(**step.given) == 10_001


@pytest.mark.usefixtures("storage")
def test_a_function_is_stored_once_for_all_runs(storage):
    def grow(x):
        return x + 1

    flow = flow_of(grow, "x")
    run(flow, {"x": 1})
    before = len(list(storage.iter_objects(storage.bucket, storage.prefix)))
    run(flow, {"x": 2})

    assert len(list(storage.iter_objects(storage.bucket, storage.prefix))) == before == 2
    assert len({one.steps[0].shipped for one in run_history.recent(storage, 2)}) == 1


def test_another_version_of_a_function_is_stored_anew(storage, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept = []
    for by in ("1", "22"):
        (tmp_path / "grown.py").write_text(f"def more(x):\n    return x + {by}\n\ndef grow(x):\n    return more(x)\n")
        sys.modules.pop("grown", None)
        importlib.invalidate_caches()
        run(flow_of(importlib.import_module("grown").grow, "x"), {"x": 1})
        kept.append(last(storage).steps[0])

    assert kept[0].version != kept[1].version
    # With the functions that it calls, of a module that is another one by now.
    assert [step.shipped.load()(x=1) for step in kept] == [2, 23]
    assert [step.source.load().count("def ") for step in kept] == [2, 2]


def test_without_a_signing_key_each_version_has_the_source_of_what_it_calls(storage):
    def grow(x):
        return more(x)  # noqa: F821  # another one in each run

    kept = []
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("LUCAS_STORAGE_SIGNING_KEY")
        flow = flow_of(grow, "x")
        for each in (_one_more, _two_more):
            environment.setitem(globals(), "more", each)
            run(flow, {"x": 1})
            kept.append(last(storage).steps[0])

    assert kept[0].version != kept[1].version
    assert ["x + 1" in step.source.load() for step in kept] == [True, False]
    assert ["x + 2" in step.source.load() for step in kept] == [False, True]


def _one_more(x):
    return x + 1


def _two_more(x):
    return x + 2


def test_each_server_gets_the_source_whatever_its_store_is_called(storage, tmp_path):
    def grow(x):
        return x + 1

    flow = flow_of(grow, "x")
    run(flow, {"x": 1})
    with local_server() as other, storage_context(endpoint=other.endpoint, cache_dir=tmp_path), Storage() as there:
        run(flow, {"x": 1})
        source = last(there).steps[0].source

        assert there.object_exists(source.bucket, source.key)


def test_without_a_signing_key_only_the_source_is_kept(storage):
    def grow(x):
        return x + 1

    # Undone here: the server of the fixture takes its key away at its end.
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("LUCAS_STORAGE_SIGNING_KEY")
        run(flow_of(grow, "x"), {"x": 1})
    (step,) = last(storage).steps

    assert (step.source is None, step.shipped) == (False, None)


def test_what_cannot_be_pickled_has_a_source_and_a_result(storage):
    lock = threading.Lock()

    def grow(x):
        with lock:
            return x + 1

    assert run(flow_of(with_storage(version="1")(grow), "x"), {"x": 1}) == 2
    (step,) = last(storage).steps

    assert (step.state, step.shipped) == ("succeeded", None)
    assert "with lock" in step.source.load()


def test_a_function_with_much_data_is_not_kept(storage):
    table = np.ones(2 << 20)

    def total(x):
        return x + table.sum()

    run(flow_of(total, "x"), {"x": 1})
    (step,) = last(storage).steps

    assert (step.shipped, "table.sum" in step.source.load()) == (None, True)


def test_a_function_that_names_a_secret_variable_is_not_kept(storage, tmp_path, monkeypatch):
    source = "import os\nAPI_KEY = os.sep * 20\n\ndef call(x):\n    return len(API_KEY)\n"
    (tmp_path / "named_secret.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    assert run(flow_of(importlib.import_module("named_secret").call, "x"), {"x": 1}) == 20
    assert last(storage).steps[0].shipped is None
    assert all(b"/" * 20 not in text for text in texts(storage))


def _with_secret_default(x, api_key=SECRET):
    return x


def _with_secret_in_dict(x, options=({"deep": {"password": SECRET}},)):
    return x


def _with_secret_around():
    token = SECRET

    def grow(x):
        return x + len(token)

    return grow


@pytest.mark.parametrize("body", [_with_secret_default, _with_secret_in_dict, _with_secret_around()])
def test_no_secret_that_a_function_takes_from_its_surroundings_is_kept(storage, body):
    with storage_context(resume=False):
        run(flow_of(body, "x"), {"x": 1})

    assert last(storage).steps[0].shipped is None
    assert all(SECRET.encode() not in text for text in texts(storage))


def test_a_secret_in_a_function_that_came_as_a_pickle_is_not_kept(storage):
    came = cloudpickle.loads(cloudpickle.dumps(with_storage(_with_secret_around())))
    with storage_context(resume=False):
        run(flow_of(came, "x"), {"x": 1})

    assert last(storage).steps[0].shipped is None
    assert all(SECRET.encode() not in text for text in texts(storage))


def test_a_function_that_came_as_a_pickle_is_kept_with_its_source(storage):
    by = 2

    def grow(x):
        return x + by

    came = cloudpickle.loads(cloudpickle.dumps(with_storage(grow)))
    run(flow_of(came, "x"), {"x": 1})
    (step,) = last(storage).steps

    assert step.shipped.load()(x=1) == 3
    assert "return x + by" in step.source.load()


def test_numbers_and_functions_are_no_secrets(storage):
    max_tokens = 7

    def new_token(x):
        return x + max_tokens

    def grow(x, key=1):
        return new_token(x) + key

    run(flow_of(grow, "x"), {"x": 1})

    assert last(storage).steps[0].shipped.load()(x=1) == 9


# Arguments


def test_arguments_are_recorded_as_they_travelled(storage):
    def join(table: np.ndarray, name, n, nested):
        return name

    given = {"table": np.arange(10_000), "name": "x", "n": 3, "nested": {"a": [1, 2.5, None]}}
    run(flow_of(join, *given), given)
    past = last(storage)

    assert past.steps[0].given == past.parameters
    assert past.parameters == {**given, "table": past.inputs["table"][0].ref}
    assert past.steps[0].withheld == past.withheld == ()


def test_arguments_that_may_be_secret_are_never_recorded(storage):
    def call(password, api_token, url, options, max_tokens):
        return 1

    given = {
        "password": SECRET,
        "api_token": [SECRET],
        "url": f"postgres://me:{SECRET}@db/x",
        "options": [{"deep": {"secretKey": SECRET}}],
        "max_tokens": 7,
    }
    with storage_context(resume=False):
        run(flow_of(call, *given), given)
    past = last(storage)

    assert past.parameters == past.steps[0].given == {"max_tokens": 7}
    assert past.withheld == past.steps[0].withheld == ("password", "api_token", "url", "options")
    assert all(SECRET.encode() not in text for text in texts(storage))


@pytest.mark.parametrize(
    "name",
    ["password", "db_passwd", "apiKey", "API_KEY", "authtoken", "secret", "credentials", "key", "x-auth", "userPwd"],
)
def test_these_names_say_secret(name):
    assert says_secret(name)


@pytest.mark.parametrize(
    "name", ["tokenizer", "keyboard", "monkey", "author", "compass", "n", "", "spin", "a" * 10_000]
)
def test_these_names_do_not(name):
    assert not says_secret(name)


def test_what_a_record_cannot_hold_is_left_out_and_named():
    kept, withheld = recorded({"x": 1, "large": "y" * 100_000, "thing": object()})

    assert (kept, withheld) == (b'{"x":1}', ["large", "thing"])


def test_inline_references_are_values():
    ref = inline_ref("bytes@1", b"x")

    assert record_text.decode(recorded({"a": ref.to_json()})[0]) == {"a": ref}
    assert recorded({"token": ref.to_json()}) == (b"{}", ["token"])


def test_data_that_looks_like_a_tag_is_read_as_it_was(storage):
    def same(x):
        return 1

    odd = {"$artifact": [{"$artifact": 3}, {"$set": [1]}, ("t", 1)]}
    run(flow_of(same, "x"), {"x": odd})

    assert record_text.decode(recorded(odd)[0]) == odd
    assert last(storage).steps[0].given["x"]["$artifact"].load() == odd["$artifact"]


def test_a_secret_within_an_inline_reference_is_found():
    inner = inline_ref("json@1", b'{"a":{"password":"x"}}').to_json()

    assert recorded({"options": [inner]}) == (b"{}", ["options"])


def test_large_arguments_are_found_in_the_record_of_the_step(storage):
    def size(text):
        return len(text)

    run(flow_of(size, "text"), {"text": "x" * 20_000})
    past = last(storage)
    text = storage.get_object(storage.bucket, f"runs/{past.key}/run.json")

    assert past.steps[0].given == {"text": "x" * 20_000}
    assert text.count(b"xxxxxxxxxx") == 2_000  # as a parameter of the run, and not again for the step
    assert run_history.recent(storage, 1)[0].steps[0].given is None


# Errors


def test_an_error_is_recorded_with_its_message_and_its_place(storage):
    def fail(x):
        hidden = SECRET + str(x)
        raise ValueError(f"no {len(hidden)}")

    with pytest.raises(ValueError, match="no 16"):
        run(flow_of(fail, "x"), {"x": 1})
    past = last(storage)
    (step,) = past.steps

    assert (past.message, step.state, step.error, step.message) == ("no 16", "failed", "ValueError", "no 16")
    assert 'raise ValueError(f"no {len(hidden)}")' in step.traceback
    assert step.traceback.endswith("ValueError: no 16\n")
    assert "lucas_storage/steps" not in step.traceback


def test_an_error_never_holds_the_values_of_variables(storage):
    def fail(x):
        value = x * 2
        raise ValueError(f"no {len(value)}")

    with storage_context(record_values="errors"), pytest.raises(ValueError, match="no"):
        run(flow_of(fail, "x"), {"x": SECRET})

    assert all(SECRET.encode() not in text for text in texts(storage))


@pytest.mark.parametrize("text", ["y" * 10_000_000, "\ud800\x1b[31m", "<script>\u202e"], ids=["long", "odd", "bidi"])
def test_any_message_is_recorded_in_bounds(storage, text):
    def fail(x):
        raise ValueError(text)

    with storage_context(record_values="errors"), pytest.raises(ValueError):  # noqa: PT011 -- any text
        run(flow_of(fail, "x"), {"x": 1})
    (step,) = last(storage).steps

    assert step.message.startswith(text[:1].encode(errors="backslashreplace").decode())
    assert len(step.message) < 5_000
    assert len(step.traceback) < 20_000


def test_an_error_whose_message_fails_is_recorded(storage):
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("never")

    def fail(x):
        raise OddError

    with pytest.raises(OddError):
        run(flow_of(fail, "x"), {"x": 1})

    assert last(storage).steps[0].message == "its message cannot be shown"


# The setting


@pytest.mark.parametrize(
    ("setting", "has"),
    [("all", (True, True, True)), ("errors", (False, True, False)), ("none", (False, False, False))],
)
def test_a_setting_decides_how_far_values_are_recorded(storage, setting, has):
    def fail(x):
        raise ValueError(x)

    with storage_context(record_values=setting), pytest.raises(ValueError, match="one"):
        run(flow_of(fail, "x"), {"x": "one"})
    past = last(storage)
    (step,) = past.steps

    assert (step.given is not None, step.message is not None, step.shipped is not None) == has
    assert (past.parameters is not None, past.message is not None, step.traceback is not None) == (*has[:2], has[1])
    assert (step.error, step.version is not None) == ("ValueError", True)


# Artifacts


def test_artifacts_of_a_record_stay_as_long_as_it_does(storage):
    def fail(x: np.ndarray):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(flow_of(fail, "x"), {"x": np.arange(10_000)})
    (step,) = last(storage).steps
    live = live_objects(storage, Judging(policy=NO_POLICY, ttl=60.0, grace=0.0, now=time.time()))

    assert {step.source.key, step.shipped.key, step.given["x"].key} <= live.keepers.keys()
    assert live.problems == []


# Runs under way


@pytest.fixture
def eager(monkeypatch):
    """Let a step be recorded as running at once, and the record of its run be written again and again."""
    monkeypatch.setattr(record_writer, "LOOK", 0.01)
    monkeypatch.setattr(run_record, "LOOK", 0.0)
    monkeypatch.setattr(run_record, "BEAT", 0.01)


@pytest.mark.usefixtures("eager")
def test_a_step_that_runs_is_seen_while_it_does(storage):
    seen = threading.Event()

    def watch(x, storage: Storage):
        while not (found := run_history.recent(storage, 1)) or not found[0].steps:
            assert not seen.wait(0.01)
        (past,) = found
        return [past.status, past.steps[0].state, past.steps[0].given == {"x": 1}, past.steps[0].seconds]

    assert run(flow_of(watch, "x"), {"x": 1}) == ["running", "running", True, 0.0]
    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"])


@pytest.mark.usefixtures("eager")
def test_a_run_that_goes_on_says_so_again_and_again(storage):
    seen = threading.Event()

    def watch(x, storage: Storage):
        key = run_history.recent(storage, 1)[0].key if run_history.recent(storage, 1) else None
        beats = set()
        while len(beats) < 3:
            assert not seen.wait(0.01)
            key = key or next((past.key for past in run_history.recent(storage, 1)), None)
            record = record_store.read(storage, f"runs/{key}/run.json")
            beats |= {record.content["beat"]} if record else set()
        return len(beats)

    assert run(flow_of(watch, "x"), {"x": 1}) == 3


@pytest.mark.usefixtures("eager")
def test_a_store_that_is_away_for_a_while_during_a_long_step_costs_no_record(storage, monkeypatch, caplog):
    refused = threading.Semaphore(0)
    is_away = threading.Event()
    genuine = Storage.put_objects

    def away(self, *args, **kwargs):
        if is_away.is_set():
            refused.release()
            raise NetworkError("away")
        return genuine(self, *args, **kwargs)

    def wait(x):
        while not run_history.recent(storage, 1):
            assert not is_away.wait(0.01)
        is_away.set()
        for _ in range(3):
            assert refused.acquire(timeout=30)
        is_away.clear()
        return x

    monkeypatch.setattr(Storage, "put_objects", away)
    assert run(flow_of(wait, "x"), {"x": 1}) == 1

    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"])
    assert "records of this run are not written" not in caplog.text


@pytest.mark.parametrize("is_back_before_the_end", [True, False])
def test_a_store_that_is_away_while_steps_end_costs_no_record(storage, monkeypatch, caplog, is_back_before_the_end):
    monkeypatch.setattr(record_writer, "PAUSE", 0.01)
    refused, is_away = threading.Semaphore(0), threading.Event()
    genuine = Storage.put_objects

    def away(self, *args, **kwargs):
        if is_away.is_set():
            refused.release()
            raise NetworkError("away")
        return genuine(self, *args, **kwargs)

    def first(x):
        is_away.set()
        return x

    def second(x):
        for _ in range(3):
            assert refused.acquire(timeout=30)
        is_away.clear()
        while is_back_before_the_end and not any(step.function == "first" for step in steps_so_far()):
            assert not is_away.wait(0.01)
        return x

    def steps_so_far():
        return [step for past in run_history.recent(storage, 1) for step in past.steps]

    for body in (first, second):
        function(name=body.__name__)(with_storage(body))

    @workflow
    def flow(wf):
        return wf.call("second", {"x": wf.call("first", {"x": wf.input()["x"]})})

    monkeypatch.setattr(Storage, "put_objects", away)
    with caplog.at_level("WARNING", "lucas_storage"):
        assert run(flow, {"x": 1}) == 1

    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"] * 2)
    assert all(step.source for step in last(storage).steps)
    assert caplog.text == ""


def test_a_run_of_which_nothing_is_heard_is_lost(storage, monkeypatch):
    key = "01M8FP24KN2PN0D0J1VZF7A8YV"
    step = {"step": 1, "key": key, "function": "f", "started": 5.0, "state": "running"}
    record_store.write(storage, f"runs/{key}/run.json", {"run": 1, "workflow": "w", "status": "running", "beat": 5.0})
    record_store.write(storage, f"runs/{key}/steps/{key}.json", step)
    before = last(storage)
    monkeypatch.setattr(run_history.time, "time", lambda: time.monotonic() + 1e10)

    assert (before.status, before.steps[0].state) == ("running", "running")
    assert (last(storage).status, last(storage).steps[0].state) == ("lost", "lost")


def test_steps_that_a_failed_run_leaves_behind_are_lost_in_its_record(storage):
    free = threading.Event()

    def fail(x):
        raise ValueError("no")

    def wait(x):
        assert free.wait(30)
        return x

    function(name="fail")(with_storage(fail))
    function(name="wait")(with_storage(wait))

    @workflow
    def flow(wf):
        return wf.func(lambda a, b: [a, b], wf.call("wait", {"x": 1}), wf.call("fail", {"x": 1}))

    try:
        with pytest.raises(ValueError, match="no"):
            run(flow, {})
        states = {step.function: step.state for step in last(storage).steps}
    finally:
        free.set()

    assert states == {"fail": "failed", "wait": "lost"}


def test_a_record_of_an_artifact_that_no_signature_covers_is_not_run(storage):
    def grow(x):
        return x + 1

    run(flow_of(grow, "x"), {"x": 1})
    past = last(storage)
    shipped = past.steps[0].shipped
    key = f"runs/{past.key}/run.json"
    text = storage.get_object(storage.bucket, key)
    storage.put_object(storage.bucket, key, text.replace(shipped.signature.encode(), b"0" * 64))
    forged: ArtifactRef = last(storage).steps[0].shipped

    with pytest.raises(Exception, match="the signature of a pickle5@1 artifact was not made with a key"):
        forged.load()
