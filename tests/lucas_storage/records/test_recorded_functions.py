"""What records hold of functions: the source, to be read, and the pickle, to be called again; no secret of either."""

from __future__ import annotations

import importlib
import re
import sys
import threading

import cloudpickle
import numpy as np
import pytest

from actorc.storage.testing import local_server
from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.records import run_history
from tests.lucas_storage.records.one_step import flow_of, last

pytestmark = pytest.mark.usefixtures("empty_registry")

SECRET = "hunter2-hunter2"


def texts(storage):
    """Return the bytes of all that lies in the bucket."""
    return [storage.get_object(storage.bucket, each["key"]) for each in storage.iter_objects(storage.bucket)]


def test_the_source_of_a_function_can_be_read_in_its_record(storage):
    def grow(x):
        # The reason why.
        return x + 1

    run(flow_of(grow, "x"), {"x": 1})
    source = last(storage).steps[0].source

    assert source.format == "text@1"
    first, *rest = source.load().splitlines()
    assert re.fullmatch(r"# .*/test_recorded_functions\.py, line \d+", first)
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
