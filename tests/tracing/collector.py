"""A collector: takes spans as OpenTelemetry's exporter sends them over HTTP, from any number of processes."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 60.0


class Told(NamedTuple):
    """A span as it arrived."""

    name: str
    kind: int
    trace: bytes
    id: bytes
    parent: bytes
    service: str
    attributes: dict


def _value(value):
    return getattr(value, value.WhichOneof("value"))


def _spans_of(body):
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {each.key: _value(each.value) for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                told = {each.key: _value(each.value) for each in span.attributes}
                yield Told(
                    span.name, span.kind, span.trace_id, span.span_id, span.parent_span_id, about["service.name"], told
                )


class Collector:
    """Listens on a port of this machine until the block ends."""

    def __enter__(self):
        self.spans = []
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                found = _spans_of(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                with collector._changed:
                    collector.spans.extend(found)
                    collector._changed.notify_all()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environment(self):
        """What makes a process send its spans here."""
        endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            # never by itself: a process that ends tells its spans, or they are lost
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        }

    def wait_for(self, *names):
        """Return the first span of each name, once all are here."""
        found = []

        def all_are_here():
            known = {span.name: span for span in reversed(self.spans)}
            found[:] = [known[name] for name in names if name in known]
            return len(found) == len(names)

        self._wait_until(all_are_here)
        return found

    def wait_for_child(self, parent, name):
        """Return the first span of a name whose parent is another one, once it is here."""
        found = []

        def is_here():
            found[:] = [span for span in self.spans if span.name == name and span.parent == parent.id]
            return found

        self._wait_until(is_here)
        return found[0]

    def _wait_until(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), [(span.service, span.name) for span in self.spans]
