"""A program that has set up OpenTelemetry, with the exporter that keeps spans in memory."""

from __future__ import annotations

import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PATIENCE = 60.0


class Spans(InMemorySpanExporter):
    """The spans that have ended; a server ends its own after its client has the answer, so they are waited for."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def export(self, spans):
        super().export(spans)
        with self._changed:
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    def of(self, kind, name, count=1):
        """Return the spans of a kind whose names end so, once there are as many."""

        def found():
            return [span for span in self.get_finished_spans() if span.kind.name == kind and span.name.endswith(name)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, PATIENCE), self.names()
        assert len(found()) == count, self.names()
        return found()

    def one(self, kind, name):
        (span,) = self.of(kind, name)
        return span

    def names(self):
        return [(span.kind.name, span.name) for span in self.get_finished_spans()]


@pytest.fixture
def spans(monkeypatch):
    """Trace the process of the test."""
    kept = Spans()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    # it can be set once in a process, and other tests run in this one
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return kept


@pytest.fixture
def tracer(spans):
    return trace.get_tracer("the user's program")
