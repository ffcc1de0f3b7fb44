"""The API as the HTTP server uses it: a request becomes its caller at once, and its answer on a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
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
from .callers import Callers, Confirm, Headers
from .events import EventSource, EventStream
from .openapi import document
from .routes import ROOT, Events, Request, Route, RouteTable, read_body, read_parameters

_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_LARGEST_BODY: Final = 1 << 20
"""Bytes."""
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
        # never waited for: calls beyond are refused at once, or they would hold all threads that objects are served on
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
            Refusal: The request proves no caller.
        """
        if method not in _METHODS:
            # the same for everybody as well
            return Admitted(NOBODY, partial(self._answer_methods, target))
        # the description of the API is the same for everybody
        if target.partition("?")[0] == ROOT + _DOCUMENT:
            return Admitted(NOBODY, partial(self._answer, target, lambda _: NOBODY, peer))
        confirm = self._callers.find(method, target, headers, request_id)
        # at once where there is no body that a signature covers, so that a thread is used for known callers only
        principal = NOBODY if method == "POST" else confirm(b"")
        return Admitted(principal, partial(self._answer, target, confirm, peer))

    def _answer_methods(self, target: str, exchange: Exchange) -> None:
        """Tell the methods of a path: to OPTIONS, and to others that it does not have.

        Raises:
            Refusal: 405, the method is another one.
        """
        found, _ = self._find(target.partition("?")[0])
        if exchange.method != "OPTIONS":
            raise _unsupported(exchange.method, found)
        exchange.begin(204, {**HEADERS, "Allow": _allowed(found)})

    def _answer(self, target: str, confirm: Confirm, peer: str, exchange: Exchange) -> None:
        path, _, query = target.partition("?")
        route, in_path = self._route(path, exchange.method)
        exchange.route = ROOT + route.path
        body = _body(exchange) if exchange.method == "POST" else b""
        renewed = partial(self._request, partial(confirm, body), peer, exchange.headers.get("Last-Event-ID", ""))
        request = renewed()
        exchange.principal = request.principal
        if not self._slots.acquire(blocking=False):
            raise _busy(f"the server answers {self._limit} requests of the API already")
        try:
            parameters = read_parameters(route.parameters, dict(zip(route.path_names, in_path, strict=True)), query)
            exchange.bucket, exchange.key = getattr(parameters, "bucket", ""), getattr(parameters, "key", "")
            if route.body is not None:
                request = replace(request, body=read_body(route.body, body))
            found = route.handle(request, parameters)
            if route.answer is Events:
                self._begin_stream(exchange, found, renewed)
                return
        finally:
            self._slots.release()
        send_answer(exchange, request.store, found, self._access_log, status=route.status)

    def _route(self, path: str, method: str) -> tuple[Route, list[str]]:
        """Return the route of a request and the parameters in its path, in order.

        Raises:
            Refusal: There is none, or it has other methods.
        """
        found, in_path = self._find(path)
        route = found.get("GET" if method == "HEAD" else method)
        if route is None:
            raise _unsupported(method, found)
        return route, in_path

    def _request(self, caller: Callable[[], Principal], peer: str, last_event_id: str) -> Request:
        """Return a request whose time begins now, of a caller that proves itself once more.

        Raises:
            Refusal: The key was disabled meanwhile, or the token has expired.
        """
        principal = caller()
        return Request(
            principal=principal,
            store=_OwnBytes(self._store, principal),
            calls=self._calls(principal, peer, time.monotonic() + _SECONDS),
            seconds=_SECONDS,
            last_event_id=last_event_id[:_LONGEST_ID],
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

    def _find(self, path: str) -> tuple[dict[str, Route], list[str]]:
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


def _body(exchange: Exchange) -> bytes:
    """Return the body of a request.

    Raises:
        Refusal: It is too large, or no JSON.
    """
    if exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "UnsupportedMediaType", "the body is JSON; send Content-Type: application/json")
    if (exchange.declared_size or 0) > _LARGEST_BODY:
        raise _too_large()
    body = b"".join(exchange.blocks(_LARGEST_BODY))
    if len(body) > _LARGEST_BODY:
        raise _too_large()
    return body


def _too_large() -> Refusal:
    return Refusal(413, "TooLarge", f"a body has at most {_LARGEST_BODY} bytes; send fewer")


def _allowed(routes: Iterable[str]) -> str:
    """Return the methods of a path that has routes for these."""
    reading = ("GET", "HEAD") if "GET" in routes else ()
    writing = ("POST",) if "POST" in routes else ()
    return ", ".join((*reading, *writing, "OPTIONS"))


def _unsupported(method: str, routes: Iterable[str]) -> Refusal:
    allowed = _allowed(routes)
    return Refusal(405, "Unsupported", f"{method[:20]} is not for this path; use one of {allowed}", {"Allow": allowed})


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
