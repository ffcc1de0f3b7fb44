"""Server-sent events: sent as they happen, to a bounded number of clients, until one side ends."""

from __future__ import annotations

import queue
import threading

import pytest

from actorc.storage.errors import PermissionError
from actorc.storage.server.api import api, assembly
from actorc.storage.server.api.events import Event, EventStream
from actorc.storage.server.api.routes import Events, Route
from actorc.storage.server.auth.key_file import disable_key
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.server import StorageServer
from actorc.storage.testing import local_server

from .conftest import ROOT, Key


class Told:
    """A source of events that a test fills; it ends with None, and fails with an error."""

    def __init__(self):
        self.news = queue.SimpleQueue()
        self.requests = []
        self.is_over = False
        self.looked = threading.Semaphore(0)

    def __call__(self, request, _parameters):
        self.requests.append(request)
        return self

    def poll(self, _request):
        self.looked.release()
        events = []
        while not self.news.empty():
            found = self.news.get()
            if isinstance(found, Exception):
                raise found
            self.is_over = found is None
            if found is not None:
                events.append(found)
        return events

    def tell(self, text, number=1):
        self.news.put(Event(name="text", id=str(number), data=text))


def told_route(source):
    return Route(path="/told", name="told", tag="test", summary="Tell.", answer=Events, handle=source)


@pytest.fixture
def source():
    return Told()


@pytest.fixture
def server(source, monkeypatch):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    monkeypatch.setattr(api, "MAX_STREAMS", 1)
    monkeypatch.setattr("actorc.storage.server.api.events._SHORTEST", 0.01)
    monkeypatch.setattr("actorc.storage.server.api.events._LONGEST", 0.02)
    with local_server(http=True) as running:
        yield running


@pytest.fixture
def url(server):
    return f"{server.http_endpoint}{ROOT}/told"


def event(number, text):
    return f"event: text\nid: {number}\ndata: {text}\n\n".encode()


def test_events_are_sent_as_they_happen_until_the_source_is_over(url, source, line):
    source.tell("one")
    stream = line(url, "GET", "Connection: close")
    head = stream.heard()
    first = stream.heard(b'"one"\n\n')
    source.tell("two", 2)
    second = stream.heard(b'"two"\n\n')
    source.news.put(None)
    rest = stream.rest()

    assert b"Content-Type: text/event-stream; charset=utf-8" in head
    assert b"Cache-Control: no-store" in head
    assert b"nosniff" in head
    assert b"retry: 1000\n\n" in first
    assert event(1, '"one"') in first
    assert event(2, '"two"') in second
    assert rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "text", ["a\nevent: forged", "a\r\ndata: forged", "\u2028", "</script>", "\ud800", "x" * 1_000_000]
)
def test_text_of_strangers_begins_no_field_of_its_own(url, source, ask, text):
    source.tell(text)
    source.news.put(None)
    body = ask(url).body

    assert [each.partition(b":")[0] for each in body.splitlines() if each] == [b"retry", b"event", b"id", b"data"]


def test_a_client_that_connects_again_says_what_it_has(url, source, ask):
    source.news.put(None)
    answer = ask(url, Last_Event_ID="17" + "x" * 1000)

    assert source.requests[0].last_event_id.startswith("17xxx")
    assert len(source.requests[0].last_event_id) == 100
    # which ends the attempts of a browser, since there is nothing more to come
    assert (answer.status, answer.body) == (204, b"")


def test_head_begins_no_stream(url, source, ask):
    answer = ask(url, "HEAD")
    source.news.put(None)

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert ask(url).status == 204


def test_a_stream_beyond_the_bound_is_refused_and_one_that_ended_leaves_its_place(url, source, line, ask, told):
    source.tell("one")
    stream = line(url)
    stream.heard(b'"one"\n\n')
    refused = ask(url)
    stream.close()
    gone = told("GET", 2)
    source.news.put(None)

    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert [each.split()[1] for each in gone] == ["503", "499"]
    assert ask(url).status == 204


def test_an_error_before_the_first_event_is_a_problem(url, source, ask):
    source.news.put(PermissionError("not for you"))
    source.news.put(None)
    answer = ask(url)

    assert answer.status == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ask(url).status == 204


def test_an_error_later_ends_the_stream_and_whoever_comes_back_is_told(url, source, line, ask):
    source.tell("one")
    stream = line(url, "GET", "Connection: close")
    stream.heard(b'"one"\n\n')
    source.news.put(PermissionError("not any more"))
    stream.rest()
    source.news.put(PermissionError("not any more"))

    assert ask(url).status == 403


@pytest.mark.parametrize("proof", ["token", "signature"])
def test_a_stream_ends_with_the_key_of_its_caller(source, monkeypatch, line, tmp_path, proof):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    monkeypatch.setattr("actorc.storage.server.api.events._LONGEST", 0.02)
    key = Key(tmp_path / "keys.json", "read:*")
    signed = {"Authorization": f"Bearer {key.token()}"} if proof == "token" else key.headers("GET", f"{ROOT}/told?")
    with local_server(http=True, keys=tmp_path / "keys.json") as running:
        source.tell("one")
        headers = [f"{name}: {value}" for name, value in signed.items()]
        stream = line(f"{running.http_endpoint}{ROOT}/told", "GET", *headers, "Connection: close")
        stream.heard(b'"one"\n\n')
        disable_key(tmp_path / "keys.json", key.id)

        assert stream.rest().endswith(b"0\r\n\r\n")
    assert not source.is_over


def test_a_stream_of_a_server_that_gets_keys_ends(source, monkeypatch, line, tmp_path):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    monkeypatch.setattr("actorc.storage.server.api.events._LONGEST", 0.02)
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="127.0.0.1:0", grace=0.0)
    with StorageServer(options) as running:
        source.tell("one")
        stream = line(f"{running.http_endpoint}{ROOT}/told", "GET", "Connection: close")
        stream.heard(b'"one"\n\n')
        Key(tmp_path / "data" / "keys.json", "read:*")

        assert stream.rest().endswith(b"0\r\n\r\n")
    assert not source.is_over


def test_silence_is_broken_by_comments(url, source, line, monkeypatch):
    monkeypatch.setattr("actorc.storage.server.http.event_streams.EventStreams.heartbeat_seconds", 0.0)
    source.tell("one")
    stream = line(url)

    assert stream.heard(b": still here\n\n").endswith(b": still here\n\n")


def test_after_a_while_a_client_has_to_come_again(url, source, line, monkeypatch):
    monkeypatch.setattr("actorc.storage.server.http.event_streams.EventStreams.longest_seconds", 0.0)
    source.tell("one")
    stream = line(url, "GET", "Connection: close")

    assert stream.rest().endswith(b"0\r\n\r\n")
    assert not source.is_over


def test_a_server_that_stops_ends_its_streams(source, monkeypatch, line):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    with local_server(http=True) as running:
        source.tell("one")
        stream = line(f"{running.http_endpoint}{ROOT}/told")
        stream.heard(b'"one"\n\n')

    assert stream.rest().endswith(b"0\r\n\r\n")


def test_a_client_that_takes_nothing_loses_its_stream(source, monkeypatch, line, told):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    with local_server(http=True, idle_timeout=0.2) as running:
        source.tell("x" * 20_000_000)
        line(f"{running.http_endpoint}{ROOT}/told")

        assert told("GET", 1)[0].split()[1] == "499"


def test_a_server_that_stops_waits_for_no_client_that_takes_nothing(source, monkeypatch, line):
    monkeypatch.setattr(assembly, "installed_routes", lambda: [told_route(source)])
    with local_server(http=True, idle_timeout=1000.0) as running:
        source.tell("x" * 20_000_000)
        stream = line(f"{running.http_endpoint}{ROOT}/told")
        stream.heard(b"data: ")

    assert not stream.rest().endswith(b"0\r\n\r\n")


def test_it_looks_less_often_while_nothing_happens(source):
    stream = EventStream(source, lambda: None, lambda: None)
    pauses = []
    for _ in range(20):
        stream.poll()
        pauses.append(stream.pause)
    source.tell("news")
    stream.poll()

    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    assert stream.pause == 0.5
