"""A run is a span, and its steps are below it, on whichever thread or process they run."""

from __future__ import annotations

import asyncio

import pytest

from lucas_storage import run, storage_context, with_storage
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.records import run_history
from lucas_storage.records.run_log import part_of_run

pytestmark = pytest.mark.usefixtures("storage")


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])


def step(body, **options):
    return function(name=body.__name__)(with_storage(**options)(body) if options else with_storage(body))


@pytest.fixture
def flow():
    @step
    def double(n):
        return 2 * n

    @step
    def add(a, b):
        return a + b

    @workflow
    def sums(wf):
        n = wf.input()["n"]
        return wf.call("add", {"a": wf.call("double", {"n": n}), "b": wf.call("double", {"n": n})})

    return sums


def parent_of(span):
    return None if span.parent is None else span.parent.span_id


def test_steps_are_below_their_run_and_calls_of_the_store_below_them(flow, spans, tracer, storage):
    with tracer.start_as_current_span("mine") as mine:
        assert run(flow, {"n": 3}) == 12

    whole = spans.one("INTERNAL", "run sums")
    assert parent_of(whole) == mine.get_span_context().span_id
    assert whole.attributes["lucas.workflow"] == "sums"
    past = run_history.find(storage, "last")
    assert whole.attributes["lucas.run.id"] == past.key
    steps = [*spans.of("INTERNAL", "step double", 2), spans.one("INTERNAL", "step add")]
    assert {parent_of(each) for each in steps} == {whole.context.span_id}
    assert {each.attributes["lucas.step.id"] for each in steps} == {each.key for each in past.steps}
    assert {each.attributes["lucas.state"] for each in (whole, *steps)} == {"succeeded"}
    calls = [each for each in spans.get_finished_spans() if each.kind.name == "CLIENT"]
    known = {each.context.span_id for each in (whole, *steps)}
    assert calls
    # the records that are written beside the steps belong to the run as well
    assert {each.context.trace_id for each in calls} >= {whole.context.trace_id}
    assert all(parent_of(each) in known for each in calls if each.context.trace_id == whole.context.trace_id)


def test_a_result_of_an_earlier_call_is_told_as_such_with_its_call_key(spans):
    @step
    def unused():
        pass

    cached = with_storage(cache=True)(lambda n: n + 1)
    assert (cached(1), cached(1)) == (2, 2)

    first, second = spans.of("INTERNAL", "step <lambda>", 2)
    assert [each.attributes["lucas.state"] for each in (first, second)] == ["succeeded", "reused"]
    assert first.attributes["lucas.call_key"] == second.attributes["lucas.call_key"]
    assert len(first.attributes["lucas.call_key"]) == 64


def test_a_step_that_fails_is_told_by_the_class_of_its_error_and_not_by_its_text(spans):
    @step
    def fail():
        raise ValueError("hunter2")

    @workflow
    def failing(wf):
        return wf.call("fail", {})

    with pytest.raises(ValueError, match="hunter2"):
        run(failing)

    for span in (spans.one("INTERNAL", "step fail"), spans.one("INTERNAL", "run failing")):
        assert span.attributes["lucas.state"] == "failed"
        assert span.attributes["error.type"] == "ValueError"
        assert not span.status.is_ok
        assert "hunter2" not in span.to_json()


def test_attempts_of_a_step_are_events(spans):
    left = [ValueError("no"), OSError("no")]

    @with_storage(retries=2, backoff=0.001)
    def flaky():
        if left:
            raise left.pop()
        return 1

    assert flaky() == 1

    (span,) = spans.of("INTERNAL", "flaky")
    told = [dict(event.attributes) for event in span.events if event.name == "attempt"]
    assert [each["lucas.attempt"] for each in told] == [1, 2, 3]
    assert [each.get("error.type") for each in told] == ["OSError", "ValueError", None]
    assert span.attributes["lucas.state"] == "succeeded"


def test_an_asynchronous_step_has_its_own_calls_below_it(spans, tracer):
    @with_storage
    async def work(n):
        with tracer.start_as_current_span("inside"):
            await asyncio.sleep(0)
        return n

    assert work(1) == 1

    assert parent_of(spans.one("INTERNAL", "inside")) == spans.one("INTERNAL", "work").context.span_id


def test_a_step_that_another_calls_is_below_it(spans):
    @with_storage
    def inner(n):
        return n

    @with_storage
    def outer(n):
        return inner(n)

    assert outer(1) == 1

    assert parent_of(spans.one("INTERNAL", "inner")) == spans.one("INTERNAL", "outer").context.span_id


def test_what_follows_a_step_is_not_below_it(spans, tracer):
    @with_storage
    def work():
        return 1

    work()
    with tracer.start_as_current_span("after"):
        pass

    assert parent_of(spans.one("INTERNAL", "after")) is None


def test_a_place_of_a_record_from_a_run_that_is_not_traced_begins_a_new_trace(spans, storage):
    @with_storage
    def work():
        return 1

    # in a bucket that stays, since the records are written when the test is over
    place = {"run": "r", "step": "s", "told": "t", "after": [], "store": storage.store_name, "values": "none"}
    with storage_context(bucket="records-of-others"):
        with part_of_run(place):
            work()
        with part_of_run({**place, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}):
            work()

    first, second = spans.of("INTERNAL", "work", 2)
    assert parent_of(first) is None
    assert f"{parent_of(second):016x}" == "b7ad6b7169203331"
