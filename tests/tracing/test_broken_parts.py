"""Whatever the parts of OpenTelemetry do that a program has chosen, its work and its server go on."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler

from actorc.storage.testing import local_server
from actorc.tracing import provider, spans
from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, routeBuilder, workflow

PATIENCE = 60.0


class Broken(SpanProcessor):
    """Raises in one of its methods."""

    def __init__(self, method):
        def fail(*_args, **_options):
            raise RuntimeError(f"broken {method}")

        setattr(self, method, fail)


class BrokenSampler(Sampler):
    def should_sample(self, *_args, **_options):
        raise RuntimeError("broken sampler")

    def get_description(self):
        return "broken"


class BrokenProvider(trace.TracerProvider):
    def get_tracer(self, *_args, **_options):
        raise RuntimeError("broken provider")


def with_processor(processor):
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(processor)
    return made


@pytest.fixture
def use(monkeypatch):
    """Trace the process of the test by a provider, whose first error has not been told yet."""

    def using(made):
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", made)
        return made

    monkeypatch.setattr(provider, "_has_told", False)
    monkeypatch.setattr(provider, "_stuck", None)
    monkeypatch.setattr(provider, "_unheard_until", 0.0)
    return using


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])
    with local_server() as server, storage_context(endpoint=server.endpoint, bucket="bucket", cache_dir=tmp_path):
        yield


def run_of_two_steps():
    @function
    @with_storage(retries=1)
    def twice(n):
        return n * 2

    @workflow
    def flow(wf):
        return wf.call("twice", {"n": wf.call("twice", {"n": wf.input()["n"]})})

    return run(flow, {"n": 5})


@pytest.mark.parametrize(
    "broken",
    [
        lambda: with_processor(Broken("on_start")),
        lambda: with_processor(Broken("on_end")),
        lambda: TracerProvider(sampler=BrokenSampler(), shutdown_on_exit=False),
        BrokenProvider,
    ],
    ids=["a processor at the start", "a processor at the end", "a sampler", "a provider"],
)
def test_a_part_that_raises_breaks_neither_runs_nor_answers_and_is_told_once(use, store, caplog, broken):
    use(broken())
    with caplog.at_level(logging.WARNING, logger="actorc.tracing"):
        assert run_of_two_steps() == 20
        with Storage() as storage:
            assert storage.get_object("bucket", storage.put(b"12345" * 100).key) == b"12345" * 100

    (line,) = [each.message for each in caplog.records if each.name.startswith("actorc.tracing")]
    assert "raised RuntimeError: broken" in line


def test_a_flush_that_raises_is_told_and_nothing_else(use, caplog):
    use(with_processor(Broken("force_flush")))
    provider.flush(PATIENCE)

    assert "raised RuntimeError: broken force_flush" in caplog.text


class Hanging(SpanExporter):
    """Says when it is in an export, and hangs there until it is let go."""

    def __init__(self):
        self.is_within, self.let_go = threading.Event(), threading.Event()

    def export(self, spans):
        self.is_within.set()
        self.let_go.wait(PATIENCE)
        return SpanExportResult.SUCCESS


@pytest.fixture
def hanging(use):
    exporter = Hanging()
    processor = BatchSpanProcessor(exporter, max_queue_size=8, max_export_batch_size=1)
    use(with_processor(processor))
    yield exporter
    exporter.let_go.set()
    processor.shutdown()


def test_an_exporter_that_hangs_stalls_no_run_and_no_server(hanging, store):
    spans.started("first").end()
    assert hanging.is_within.wait(PATIENCE)

    assert [run_of_two_steps() for _ in range(3)] == [20] * 3
    assert not hanging.let_go.is_set()


def test_a_hanging_exporter_holds_one_thread_however_often_spans_are_flushed(hanging, monkeypatch):
    spans.started("first").end()
    assert hanging.is_within.wait(PATIENCE)
    for _ in range(3):
        monkeypatch.setattr(provider, "_unheard_until", 0.0)
        provider.flush(0.01)

    assert [each.name for each in threading.enumerate()].count("trace-flush") == 1
