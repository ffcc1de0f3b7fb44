"""A call of the client and its answer by the server are two spans of one trace, whichever transport carries it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.handlers
import os
import queue
import time
import urllib.error
import urllib.request

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from actorc.storage import StorageClient
from actorc.storage.aio import AsyncStorageClient
from actorc.storage.errors import NotFoundError
from actorc.storage.in_process import carry
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import ANYBODY
from actorc.storage.server.service.direct_calls import DirectCalls
from actorc.storage.server.telemetry.log_output import JsonFormatter, TextFormatter
from actorc.storage.testing import local_server
from actorc.storage.testing.faults.proxy import Proxy
from actorc.storage.testing.faults.wire_fault import WireFault

SERVICE = "ignis.storage.v1.StorageService/"
MiB = 1 << 20


@pytest.fixture(scope="module")
def server():
    with local_server(http=True) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["unix", "tcp"])
def client(server, request, spans):
    with server.client(local=request.param) as made:
        assert made.server_info()["transport"] == ("unix" if request.param else "grpc")
        spans.of("SERVER", "GetServerInfo")
        spans.clear()
        yield made


def parent_of(span):
    return None if span.parent is None else span.parent.span_id


def test_a_call_is_a_span_of_the_client_with_one_of_the_server_below(client, spans, tracer):
    with tracer.start_as_current_span("mine") as mine:
        client.put_object("bucket", "key", b"12345")

    sent, answered = spans.one("CLIENT", "PutObject"), spans.one("SERVER", "PutObject")
    assert sent.name == answered.name == SERVICE + "PutObject"
    assert parent_of(sent) == mine.get_span_context().span_id
    assert parent_of(answered) == sent.context.span_id
    assert answered.parent.is_remote
    assert sent.context.trace_id == answered.context.trace_id == mine.get_span_context().trace_id
    for span in (sent, answered):
        told = span.attributes
        assert told["rpc.system.name"] == "grpc"
        assert told["rpc.method"] == SERVICE + "PutObject"
        assert told["rpc.response.status_code"] == "OK"
        assert (told["lucas.bucket"], told["lucas.key"], told["lucas.size"]) == ("bucket", "key", 5)
        assert span.status.is_unset
    assert sent.attributes["lucas.request_id"] == answered.attributes["lucas.request_id"]
    assert sent.attributes["server.port"] == int(client.endpoint.rpartition(":")[2])


def test_streams_are_spans_as_well(client, spans, tmp_path):
    data = os.urandom(3 * MiB)
    client.upload_from_stream("bucket", "large", io.BytesIO(data))
    assert b"".join(client.stream_object("bucket", "large")) == data

    for name in ("WriteObject", "ReadObject"):
        sent, answered = spans.one("CLIENT", name), spans.one("SERVER", name)
        assert parent_of(answered) == sent.context.span_id
        assert sent.attributes["lucas.size"] == answered.attributes["lucas.size"] == 3 * MiB
        assert sent.attributes["lucas.key"] == answered.attributes["lucas.key"] == "large"


def test_a_download_that_is_left_early_has_not_failed_and_is_not_the_parent_of_what_its_caller_does(client, spans):
    client.put_object("bucket", "large", bytes(3 * MiB))
    pieces = client.stream_object("bucket", "large")
    next(pieces)
    client.head_object("bucket", "large")
    pieces.close()

    assert parent_of(spans.one("CLIENT", "HeadObject")) is None
    assert spans.one("CLIENT", "ReadObject").status.is_unset


def test_the_calls_of_a_transfer_in_parts_are_below_it(server, spans, tmp_path):
    class InParts(StorageClient):
        PARALLEL_FROM = MiB

    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(3 * MiB))
    with InParts(server.endpoint, local=False) as client:
        client.upload_file("bucket", "large", source, chunk_size=MiB)
        client.download_file("bucket", "large", copy)
        client.upload_from_stream("bucket", "stream", iter([bytes(MiB)] * 3), chunk_size=MiB)

    by_file, by_stream = spans.of("INTERNAL", "upload", 2)
    assert {parent_of(span) for span in spans.of("CLIENT", "WriteObject", 6)} == {
        by_file.context.span_id,
        by_stream.context.span_id,
    }
    assert (by_file.attributes["lucas.key"], by_stream.attributes["lucas.key"]) == ("large", "stream")
    assert spans.one("INTERNAL", "download").attributes["lucas.key"] == "large"
    assert copy.read_bytes() == source.read_bytes()


def test_an_error_has_its_class_and_its_status_and_is_no_fault_of_the_server(client, spans):
    client.put_object("bucket", "key", b"")
    with pytest.raises(NotFoundError):
        client.head_object("bucket", "missing")

    sent, answered = spans.one("CLIENT", "HeadObject"), spans.one("SERVER", "HeadObject")
    assert sent.attributes["error.type"] == "ObjectNotFoundError"
    assert sent.attributes["rpc.response.status_code"] == answered.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert not sent.status.is_ok
    assert sent.status.description
    assert answered.status.is_unset


def test_no_secret_and_no_content_is_in_any_span(spans, tmp_path):
    with StorageServer(ServerOptions(engine="memory://", listen="127.0.0.1:0", data=None)) as running:
        secret, content = "s3cr3t-" + "x" * 30, b"the content of an object"
        with StorageClient(running.address, "AK", secret) as client:
            client.create_bucket("bucket")
            client.put_object("bucket", "key", content, metadata={"private": "metadata"})
            client.get_object("bucket", "key")
        spans.of("SERVER", "GetObject")

    text = "".join(span.to_json() for span in spans.get_finished_spans())
    assert secret not in text
    assert content.decode() not in text
    assert "private" not in text


def test_attempts_that_failed_are_events_of_the_call(server, spans):
    with Proxy(server.endpoint) as proxy, StorageClient(proxy.endpoint, local=False) as client:
        client.put_object("bucket", "key", b"x")
        spans.clear()
        proxy.standing["down"].append(WireFault("cut", times=2))
        proxy.drop_all()
        client.head_object("bucket", "key")

    sent = spans.one("CLIENT", "HeadObject")
    failed = [event for event in sent.events if event.name == "attempt failed"]
    assert len(failed) >= 2
    assert [event.attributes["lucas.attempt"] for event in failed] == [*range(1, len(failed) + 1)]
    assert {event.attributes["error.type"] for event in failed} == {"NetworkError"}
    assert sent.attributes["lucas.attempts"] == len(failed) + 1
    assert sent.status.is_unset
    assert spans.one("SERVER", "HeadObject").attributes["lucas.attempt"] == len(failed) + 1


def test_a_trace_that_is_not_sampled_is_recorded_by_nobody_and_named_in_the_log(server, spans, line, monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    with trace.get_tracer("mine").start_as_current_span("mine") as mine, server.client() as client:
        client.put_object("bucket", "key", b"x")

    assert line()[1]["trace_id"] == f"{mine.get_span_context().trace_id:032x}"
    assert spans.names() == []


def test_tasks_of_the_asynchronous_client_have_each_their_own_parent(server, spans, tracer):
    async def put(client, key):
        with tracer.start_as_current_span(key):
            await client.put_object("bucket", key, b"x")

    async def main():
        async with AsyncStorageClient(server.endpoint) as client:
            await asyncio.gather(*(put(client, f"key-{number}") for number in range(5)))

    asyncio.run(main())

    mine = {span.name: span.context.span_id for span in spans.of("INTERNAL", "", 5)}
    sent = spans.of("CLIENT", "PutObject", 5)
    assert {span.attributes["lucas.key"]: parent_of(span) for span in sent} == mine


def test_a_client_in_the_process_of_the_server_is_traced_as_well(spans):
    with StorageServer(ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True)) as running:
        calls = DirectCalls(
            running.parts.methods, running.parts.flow, ANYBODY, peer="here", deadline=time.monotonic() + 60
        )
        client = StorageClient.__new__(StorageClient)
        carry(client, calls, 20.0)
        client.put_object("bucket", "key", b"x")

    assert parent_of(spans.one("SERVER", "PutObject")) == spans.one("CLIENT", "PutObject").context.span_id


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def fetched(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read()


def test_a_presigned_url_is_a_span_of_the_server_which_a_browser_may_be_the_parent_of(server, spans):
    with server.client() as client:
        client.put_object("bucket", "key", b"12345")
        url = client.presign_url("bucket", "key")
    fetched(url, traceparent=PARENT)

    span = spans.one("SERVER", "GET /o/{bucket}/{key}")
    assert f"{span.context.trace_id:032x}" == PARENT[3:35]
    assert f"{parent_of(span):016x}" == PARENT[36:52]
    told = span.attributes
    assert told["http.request.method"] == "GET"
    assert told["http.response.status_code"] == 200
    assert told["url.path"] == "/o/bucket/key"
    assert told["lucas.size"] == 5
    assert "acs-sig" not in span.to_json()


def test_calls_that_the_api_makes_belong_to_its_request(server, spans):
    fetched(f"{server.http_endpoint}/api/v1/runs")

    request = spans.one("SERVER", "GET /api/v1/runs")
    made = [span for span in spans.get_finished_spans() if span.kind.name == "CLIENT"]
    assert made
    assert {parent_of(span) for span in made} == {request.context.span_id}


@pytest.mark.parametrize(
    "offered",
    ["", "nonsense", PARENT + "\x00", "ff" + PARENT[2:], PARENT.upper(), "00-" + "0" * 32 + PARENT[35:], "0" * 20_000],
)
def test_a_header_that_is_no_context_begins_a_new_trace(spans, offered):
    from actorc.storage.server.telemetry import call_spans

    span = call_spans.of_rpc("HeadObject", {"traceparent": offered, "tracestate": "x" * 20_000})

    assert span.trace_id
    assert span.trace_id != PARENT[3:35]


def test_what_other_makers_add_to_a_context_is_passed_on(spans):
    from actorc.tracing.spans import started, within

    with within({"traceparent": PARENT, "tracestate": "vendor=1,other=2"}):
        passed = dict(started("call").headers)

    assert passed["tracestate"] == "vendor=1,other=2"
    assert passed["traceparent"][:36] == PARENT[:36]


@pytest.mark.parametrize("text", ["\ud800", "\u202e", "x" * (10 << 20), "\x1b[2J"])
def test_what_a_stranger_named_can_be_exported(spans, text):
    from actorc.tracing.spans import started

    span = started("call", attributes={"lucas.key": text})
    span.end("Error", text)

    (ended,) = spans.get_finished_spans()
    assert len(ended.to_json().encode()) < 20_000


def test_a_flood_of_callers_without_proof_does_not_fill_the_exporter(spans):
    from actorc.storage.server.service.call import CallHead
    from actorc.storage.server.telemetry import call_spans
    from actorc.storage.server.telemetry.access_log import AccessLog
    from actorc.storage.server.telemetry.ended_call import EndedCall

    lines, seen = AccessLog(clock=lambda: 0.0), []
    lines.listeners.append(seen.append)
    for _ in range(1000):
        head = CallHead("HeadObject", {"traceparent": PARENT})
        span = call_spans.of_rpc(head.method, head.metadata)
        lines.record(
            EndedCall("HeadObject", "UNAUTHENTICATED", "", "", 0, 0.1, head.request_id, "", "", proved=False, span=span)
        )

    assert len(seen) == 1000
    assert len(spans.get_finished_spans()) == 100


@pytest.fixture
def line():
    """Return a function that waits for the next access line, and returns it as text and as JSON."""
    written = queue.SimpleQueue()
    access = logging.getLogger("actorc.storage.server.access")
    handler = logging.handlers.QueueHandler(written)
    handler.prepare = lambda record: record
    access.addHandler(handler)
    before = access.level
    access.setLevel(logging.INFO)

    def following():
        record = written.get(timeout=60)
        return TextFormatter("%(message)s").format(record), json.loads(JsonFormatter().format(record))

    yield following
    access.setLevel(before)
    access.removeHandler(handler)


def test_access_lines_name_the_trace(server, spans, line):
    with server.client() as client:
        client.put_object("bucket", "key", b"x")
    trace_id = f"{spans.one('SERVER', 'PutObject').context.trace_id:032x}"

    text, found = line()
    assert text.endswith(f" trace_id={trace_id}")
    assert found["trace_id"] == trace_id


def test_a_server_that_is_not_traced_names_the_trace_of_its_caller_and_no_other(server, line):
    with server.client() as client:
        client.put_object("bucket", "key", b"x")
        url = client.presign_url("bucket", "key")
    fetched(url, traceparent=PARENT)
    fetched(url, traceparent=PARENT[:-1] + "x")

    put, presign, named, nonsense = (line() for _ in range(4))
    assert named[1]["trace_id"] == PARENT[3:35]
    for text, found in (put, presign, nonsense):
        assert "trace_id" not in text
        assert "trace_id" not in found
