"""The API as the HTTP server uses it: a request becomes its caller at once, and its answer on a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from actorc.storage._wire.direct_calls import Carrier
from actorc.storage.errors import ResourceExhaustedError
from actorc.storage.server.auth.access import NOBODY, Principal
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.http.api_face import Admitted
from actorc.storage.server.http.errors import Refusal
from actorc.storage.server.http.event_streams import CONTENT_TYPE as EVENTS_TYPE
from actorc.storage.server.http.exchange import Exchange
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.telemetry.access_log import AccessLog

from .answers import HEADERS, send_answer
from .callers import Callers, Headers
from .events import EventSource, EventStream
from .openapi import document
from .routes import ROOT, Events, Request, Route, RouteTable, read_parameters

_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_ALLOW: Final = {"Allow": ", ".join(_METHODS)}
_DOCUMENT: Final = "/openapi.json"
_SECONDS: Final = 30.0
"""Seconds that a request may take, other than for the bytes of an object."""
_RETRY_AFTER: Final = 1.0
MAX_STREAMS: Final = 32
"""Streams of events at the same time, in each process."""
_LONGEST_ID: Final = 100
"""Characters of the id of an event."""

Calls = Callable[[Principal, str, float], Carrier]
"""Returns the calls of a caller: principal, address of its program, monotonic seconds of the end of its time."""


class Api:
    """Answers requests below `ROOT`. Any thread may call it.

    Args:
        store: The operations.
        calls: Makes calls in this process in the name of a caller.
        callers: Finds the caller of a request.
        routes: Returns all routes; called once, on a thread, since it may import packages.
        access_log: Counts transfers of objects.
        is_open: Returns whether the server has no keys.
        limit: Requests at the same time; a further one is refused at once.
    """

    headers: Final = HEADERS

    def __init__(
        self,
        store: ObjectStore,
        calls: Calls,
        callers: Callers,
        routes: Callable[[], list[Route]],
        *,
        access_log: AccessLog,
        is_open: Callable[[], bool],
        limit: int,
    ) -> None:
        self._store = store
        self._calls = calls
        self._callers = callers
        self._routes = routes
        self._access_log = access_log
        self._is_open = is_open
        self._limit = limit
        self._slots = threading.BoundedSemaphore(limit)
        self._streams = threading.BoundedSemaphore(MAX_STREAMS)
        self._loading = threading.Lock()  # guards `_table`, so that packages are imported once
        self._table: RouteTable | None = None

    def owns(self, target: str) -> bool:
        """Return whether a request for this path and query is one of the API."""
        path = target.partition("?")[0]
        return path == ROOT or path.startswith(f"{ROOT}/")

    def admit(self, method: str, target: str, headers: Headers, request_id: str, peer: str) -> Admitted:
        """Return the caller of a request and its work; for the event loop, which must not wait.

        Raises:
            Refusal: The method is none of these, or the request proves no caller.
        """
        if method not in _METHODS:
            raise Refusal(405, "Unsupported", f"the API is for reading; use one of {', '.join(_METHODS)}", _ALLOW)
        if method == "OPTIONS":
            return Admitted(NOBODY, partial(self._answer_options, target))
        path = target.partition("?")[0].removeprefix(ROOT)
        # the description of the API is the same for everybody
        is_public = path == _DOCUMENT
        principal = NOBODY if is_public else self._callers.find(method, target, headers, request_id)
        return Admitted(principal, partial(self._answer, target, principal, peer))

    def _answer_options(self, target: str, exchange: Exchange) -> None:
        self._find(target.partition("?")[0])
        exchange.begin(204, {**HEADERS, **_ALLOW})

    def _answer(self, target: str, principal: Principal, peer: str, exchange: Exchange) -> None:
        if not self._slots.acquire(blocking=False):
            raise _busy(f"the server answers {self._limit} requests of the API already")
        try:
            path, _, query = target.partition("?")
            route, in_path = self._find(path)
            parameters = read_parameters(route.parameters, in_path, query)
            exchange.bucket, exchange.key = getattr(parameters, "bucket", ""), getattr(parameters, "key", "")
            store = _OwnBytes(self._store, principal)
            renewed = partial(self._request, principal, store, peer, exchange.headers.get("Last-Event-ID", ""))
            found = route.handle(renewed(), parameters)
            if route.answer is Events:
                self._begin_stream(exchange, found, renewed)
                return
        finally:
            self._slots.release()
        send_answer(exchange, store, found, self._access_log)

    def _request(self, principal: Principal, store: AuthorizedStore, peer: str, last_event_id: str) -> Request:
        """Return a request whose time begins now."""
        calls = self._calls(principal, peer, time.monotonic() + _SECONDS)
        return Request(
            principal=principal, store=store, calls=calls, seconds=_SECONDS, last_event_id=last_event_id[:_LONGEST_ID]
        )

    def _begin_stream(self, exchange: Exchange, source: EventSource, renewed: Callable[[], Request]) -> None:
        """Look for the first events; the event loop sends them and those that follow."""
        if not self._streams.acquire(blocking=False):
            raise _busy(f"the server sends {MAX_STREAMS} streams of events already")
        stream = EventStream(source, renewed, self._streams.release)
        try:
            first = stream.poll()
        except BaseException:
            stream.close()
            raise
        if exchange.method == "GET" and (first or not stream.is_over):
            exchange.stream = (stream, first)
            return
        stream.close()
        # a browser does not connect again after 204
        is_over = exchange.method == "GET"
        exchange.begin(204 if is_over else 200, {**HEADERS, **({} if is_over else {"Content-Type": EVENTS_TYPE})})

    def _find(self, path: str) -> tuple[Route, dict[str, str]]:
        return self._known().find(path.removeprefix(ROOT))

    def _known(self) -> RouteTable:
        # checked before the lock, which only the first requests take
        if self._table is None:
            with self._loading:
                if self._table is None:
                    routes = self._routes()
                    table = RouteTable([*routes, _document_route(lambda: self._described(routes))])
                    self._table = table
        return self._table

    def _described(self, routes: list[Route]) -> dict[str, Any]:
        return document(routes, is_open=self._is_open())


class _OwnBytes(AuthorizedStore):
    """The store for a caller who gets all bytes from this server: a URL of the medium needs a right to presign."""

    def presigned_location(self, _bucket: str, _key: str, _method: str, _expires: float) -> None:
        """Return None: there is no other place to get the bytes from."""


def _busy(message: str) -> ResourceExhaustedError:
    return ResourceExhaustedError(f"{message}; try again in a moment", retry_after=_RETRY_AFTER)


def _document_route(describe: Callable[[], dict[str, Any]]) -> Route:
    return Route(
        path=_DOCUMENT,
        name="openapi",
        tag="server",
        summary="Describe this API.",
        answer=dict[str, Any],
        handle=lambda _request, _parameters: describe(),
        is_public=True,
    )
