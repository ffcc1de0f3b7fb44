"""What records hold of arguments and errors, and what they do not."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lucas_storage import ArtifactRef, run, storage_context
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.live_objects import live_objects
from lucas_storage.gc.policy import NO_POLICY
from lucas_storage.records import record_text, run_history
from lucas_storage.records.recorded_values import recorded, says_secret
from lucas_storage.refs import inline_ref
from tests.lucas_storage.records.one_step import flow_of, last

pytestmark = pytest.mark.usefixtures("empty_registry")

SECRET = "hunter2-hunter2"


def texts(storage):
    """Return the bytes of all that lies in the bucket."""
    return [storage.get_object(storage.bucket, each["key"]) for each in storage.iter_objects(storage.bucket)]


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


def test_artifacts_of_a_record_stay_as_long_as_it_does(storage):
    def fail(x: np.ndarray):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(flow_of(fail, "x"), {"x": np.arange(10_000)})
    (step,) = last(storage).steps
    live = live_objects(storage, Judging(policy=NO_POLICY, ttl=60.0, grace=0.0, now=time.time()))

    assert {step.source.key, step.shipped.key, step.given["x"].key} <= live.keepers.keys()
    assert live.problems == []


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
