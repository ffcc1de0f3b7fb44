"""Handler of all HTTP requests: authentication, admission, errors as responses, and the access log.

Runs on the event loop; the work on objects runs on threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from aiohttp import web

from actorc.storage._wire.url_signing import METHODS, Grant, PresignedUrl, read_url
from actorc.storage.errors import InvalidParameterError, ResourceExhaustedError, StorageError
from actorc.storage.server.auth.access import Principal
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.auth.presigning import WRONG, PresignedUrls
from actorc.storage.server.engines.descriptor_shortage import is_out_of_descriptors, out_of_descriptors
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.calls_in_flight import CallsInFlight
from actorc.tracing.spans import Span

from . import objects
from .api_face import Admitted, Api
from .errors import Refusal
from .event_streams import EventStreams, Stream
from .exchange import Exchange
from .pages import Pages
from .request_record import CLIENT_GONE, RequestRecord
from .responses import common_headers, internal, page_response, refusal_response

log = logging.getLogger(__name__)

_OBJECT = "/o/{bucket}/{key}"
_RETRY_AFTER = 1.0
"""Seconds after which a refused request may be admitted."""


class HttpHandler:
    """Answers requests. For the event loop.

    Args:
        store: The operations.
        urls: Accepts presigned URLs; objects are served to nobody else.
        pages: Pages that are served to every client.
        api: Answers requests that are for it.
        access_log: The access log.
        in_flight: Admits requests while the server runs.
        is_misdirected: Returns whether a ``Host`` is no name of this server, as when a web page makes its own name
            resolve to this machine.
        is_foreign: Returns whether the authority in a request for a whole URL is another server's.
        confirm: Raises if a caller would not be let in any more.
        threads: Requests that run at the same time; a further one is refused at once.
        idle_timeout: Seconds to wait for a peer.
    """

    def __init__(
        self,
        store: ObjectStore,
        urls: PresignedUrls,
        pages: Pages,
        api: Api,
        access_log: AccessLog,
        in_flight: CallsInFlight,
        *,
        is_misdirected: Callable[[str], bool],
        is_foreign: Callable[[str], bool],
        confirm: Callable[[Principal], None],
        threads: int,
        idle_timeout: float,
    ) -> None:
        self._store = store
        self._urls = urls
        self._pages = pages
        self._api = api
        self._access_log = access_log
        self._in_flight = in_flight
        self._is_misdirected = is_misdirected
        self._is_foreign = is_foreign
        self._confirm = confirm
        self._idle_timeout = idle_timeout
        self._limit = threads
        # never waited for: a request without a free thread is refused at once, and the event loop goes on
        self._slots = threading.BoundedSemaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="storage-http")
        self._streams = EventStreams(idle_timeout)
        self._running: dict[Exchange, asyncio.Future[None]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        names = request.headers.getall("Host", [""])
        misdirected = len(names) > 1 or self._is_misdirected(names[0]) or self._is_for_another_server(request)
        page = None if misdirected else self._pages.find(request.method, _target(request).partition("?")[0])
        return page_response(page) if page else await self._call(request, misdirected=misdirected)

    def _is_for_another_server(self, request: web.BaseRequest) -> bool:
        """Return whether the request is for a whole URL, as proxies get them, and for a URL of another server."""
        if request.raw_path.startswith("/"):
            return False
        host, port, *_ = request.get_extra_info("sockname") or ("", 0)
        authority = _authority(request)
        return authority not in {f"{host}:{port}", f"[{host}]:{port}"} and self._is_foreign(authority)

    async def finish(self, grace: float) -> None:
        """Wait for running requests, and abort those that take longer than `grace` seconds."""
        await self._streams.finish(grace)
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace)
        for exchange in list(self._running):
            exchange.abort()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def _call(self, request: web.BaseRequest, *, misdirected: bool) -> web.StreamResponse:
        record = RequestRecord(request, _target(request).partition("?")[0])
        try:
            if misdirected:
                record.status = 421
                refusal = Refusal(421, "Misdirected", "this server has another name; use the one in the URLs it makes")
                response = self._refused(refusal, record.request_id, request)
                # with two names, a proxy may read the bytes that follow as another request than this server does
                response.force_close()
                return response
            return await self._response(request, record)
        finally:
            self._access_log.record(record.ended())

    async def _response(self, request: web.BaseRequest, record: RequestRecord) -> web.StreamResponse:
        try:
            response = await self._perform(request, record)
        except ConnectionError:
            refusal = Refusal(CLIENT_GONE, "NetworkError", "the connection broke")
        except web.RequestPayloadError:
            refusal = Refusal(400, "InvalidParameter", "the body is broken off or malformed, and nothing was stored")
        except Refusal as error:
            refusal = error
        except StorageError as error:
            refusal = Refusal.of(error)
        except Exception as error:
            log.exception("%s failed, request %s", record.method, record.request_id)
            refusal = Refusal.of(out_of_descriptors()) if is_out_of_descriptors(error) else internal()
        else:
            record.status = response.status
            return response
        record.status = refusal.status
        # a response has begun: the status is sent, so only a broken connection tells the peer that it is incomplete
        if record.exchange is not None and record.exchange.response is not None:
            record.exchange.abort()
            return record.exchange.response
        return self._refused(refusal, record.request_id, request)

    def _refused(self, refusal: Refusal, request_id: str, request: web.BaseRequest) -> web.Response:
        response = refusal_response(refusal, request_id, request)
        if self._api.owns(_target(request)):
            response.headers.update(self._api.headers)
            if refusal.status != 304:
                response.headers["Content-Type"] = "application/problem+json"
                response.body = refusal.problem(request_id)
        return response

    async def _perform(self, request: web.BaseRequest, record: RequestRecord) -> web.StreamResponse:
        admitted = self._admitted(request, record)
        record.principal, record.bucket, record.key = admitted.principal, admitted.bucket, admitted.key
        # without waiting: the event loop must not block
        if not self._slots.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server carries out {self._limit} requests already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        headers = common_headers(record.request_id)
        record.exchange = exchange = Exchange(request, self._idle_timeout, headers, self._confirm)
        exchange.principal = admitted.principal
        # released when the thread ends and not when the request does: a cancelled request leaves its thread running
        work = self._threads.submit(self._work, admitted, exchange, record.span)
        work.add_done_callback(self._leave)
        self._running[exchange] = waiting = asyncio.wrap_future(work)
        try:
            await waiting
        finally:
            del self._running[exchange]
            record.principal = exchange.principal or record.principal
            record.bucket, record.key = record.bucket or exchange.bucket, record.key or exchange.key
            record.route = exchange.route
        if exchange.stream is not None:
            return await self._stream(request, exchange, *exchange.stream)
        assert exchange.response is not None
        return exchange.response

    async def _stream(
        self, request: web.BaseRequest, exchange: Exchange, stream: Stream, first: bytes
    ) -> web.StreamResponse:
        try:
            response = await exchange.begin_stream(self._api.headers)
            exchange.size = await self._streams.send(response, request, stream, first, self._news)
        finally:
            stream.close()
        return response

    async def _news(self, stream: Stream) -> bytes:
        """Look for news of a stream; nothing is new while all threads are busy."""
        if not self._slots.acquire(blocking=False):
            return b""
        work = self._threads.submit(self._poll, stream)
        work.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(work)

    def _poll(self, stream: Stream) -> bytes:
        with self._in_flight:
            return stream.poll()

    def _admitted(self, request: web.BaseRequest, record: RequestRecord) -> Admitted:
        """Return the caller and the work of a request.

        Raises:
            Refusal: The request is refused.
            StorageError: It proves no caller, or the caller may not do this.
        """
        target = _target(request)
        if self._api.owns(target):
            return self._api.admit(request.method, target, request.headers, record.request_id, record.peer)
        if request.method not in METHODS:
            raise Refusal(
                405, "Unsupported", f"use one of {', '.join(METHODS)}, as in the URL", {"Allow": ", ".join(METHODS)}
            )
        url = _read(request)
        record.bucket, record.key = url.grant.bucket, url.grant.key
        principal = self._urls.admit(url, request.method)
        store = AuthorizedStore(self._store, principal)
        work = partial(self._transfer, store=store, grant=url.grant)
        return Admitted(principal, work, record.bucket, record.key)

    def _transfer(self, exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
        exchange.route = _OBJECT
        with self._access_log.transfer():
            objects.answer(exchange, store, grant)

    def _work(self, admitted: Admitted, exchange: Exchange, span: Span) -> None:
        # the API makes calls of its own, which belong to the request
        with self._in_flight, span.active():
            admitted.work(exchange)

    def _leave(self, _done: Future[None]) -> None:
        self._slots.release()


def _read(request: web.BaseRequest) -> PresignedUrl:
    """Return the parsed URL; a malformed one is refused like one with a wrong signature."""
    try:
        return read_url(_target(request))
    except InvalidParameterError:
        raise Refusal(403, "Unauthenticated", WRONG) from None


def _target(request: web.BaseRequest) -> str:
    """Return path and query as received, not as aiohttp parses them; a proxy may send a whole URL."""
    target = request.raw_path
    return target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]


def _authority(request: web.BaseRequest) -> str:
    return request.raw_path.partition("://")[2].partition("/")[0].partition("?")[0]
