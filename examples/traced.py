"""A run, its steps and their calls of the store as one trace of OpenTelemetry, printed as a tree.

pip install 'lucas-storage[otel]'
lucas-storage run examples/traced.py
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from lucas import Workflow, function, workflow
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lucas_storage import run, with_storage

# The program sets up OpenTelemetry, and everything below is told. With an exporter for OTLP it goes to a collector.
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)


@function
@with_storage
def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=100_000)


@function
@with_storage
def spread(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.std(left - right))


@workflow
def report(wf: Workflow):
    return wf.call("spread", {"left": wf.call("noise", {"seed": 1}), "right": wf.call("noise", {"seed": 2})})


def show(span: ReadableSpan, children: dict[int, list[ReadableSpan]], depth: int = 0) -> None:
    told, name = span.attributes, span.name.rpartition("/")[2]
    words = [name, told.get("lucas.state"), told.get("lucas.key", "")[:20], told.get("lucas.size")]
    ms = (span.end_time - span.start_time) / 1e6
    print("  " * depth + " ".join(str(word) for word in words if word), f"{ms:.1f} ms")
    for child in sorted(children[span.context.span_id], key=lambda each: each.start_time):
        show(child, children, depth + 1)


with trace.get_tracer("example").start_as_current_span("my program"):
    print(f"{run(report):.3f}")

children: dict[int, list[ReadableSpan]] = defaultdict(list)
for each in spans.get_finished_spans():
    children[each.parent.span_id if each.parent else 0].append(each)
for root in children[0]:
    show(root, children)
