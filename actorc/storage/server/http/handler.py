"""Around every request: who sends it, admission, errors to answers, the access line. Runs on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from aiohttp import web

from actorc.storage._wire.url_signing import METHODS, PresignedUrl, read_url
from actorc.storage.errors import InvalidParameterError, ResourceExhaustedError, StorageError
from actorc.storage.server.auth.access import NOBODY, Principal
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.auth.presigning import WRONG, PresignedUrls
from actorc.storage.server.engines.descriptor_shortage import is_out_of_descriptors, out_of_descriptors
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.telemetry.access_log import Ended, Journal
from actorc.storage.server.telemetry.calls_in_flight import Gate

from . import objects
from .errors import Refusal
from .exchange import Exchange
from .headers import ALWAYS
from .pages import Page, Pages

log = logging.getLogger(__name__)

_RETRY_AFTER = 1.0
"""Seconds after which a refused request may find a place."""
_FAILED = 500
_GONE = 499
"""How an access line tells that the peer went away before it had the answer."""


@dataclass(slots=True)
class _Visit:
    """What is known by now of a request, for the access line."""

    request_id: str
    method: str
    peer: str
    bucket: str = ""
    key: str = ""
    principal: Principal = NOBODY
    exchange: Exchange | None = None
    status: int = _GONE
    began: float = field(default_factory=time.perf_counter)


class Front:
    """Answers requests.

    Args:
        store: The rules.
        urls: Accepts presigned URLs; nothing else is served.
        pages: What is served to everybody beside them.
        journal: Is told of every request.
        gate: Where requests enter.
        is_misdirected: Tells of a ``Host`` whether it is not one of this server, as when a page in a browser has its
            own name resolve to this machine.
        is_foreign: Tells of the authority in a request for a whole URL whether it is another server's.
        threads: Requests that are carried out at the same time; one more is refused at once.
        idle_timeout: Seconds a peer may be waited for.
    """

    def __init__(
        self,
        store: ObjectStore,
        urls: PresignedUrls,
        pages: Pages,
        journal: Journal,
        gate: Gate,
        *,
        is_misdirected: Callable[[str], bool],
        is_foreign: Callable[[str], bool],
        threads: int,
        idle_timeout: float,
    ) -> None:
        self._store = store
        self._urls = urls
        self._pages = pages
        self._journal = journal
        self._gate = gate
        self._is_misdirected = is_misdirected
        self._is_foreign = is_foreign
        self._idle_timeout = idle_timeout
        self._most = threads
        self._places = threading.BoundedSemaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="storage-http")
        self._running: dict[Exchange, asyncio.Future[None]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        names = request.headers.getall("Host", [""])
        misdirected = len(names) > 1 or self._is_misdirected(names[0]) or self._is_for_another(request)
        page = None if misdirected else self._pages.find(_target(request).partition("?")[0])
        return _shown(page) if page else await self._call(request, misdirected=misdirected)

    def _is_for_another(self, request: web.BaseRequest) -> bool:
        """Return whether the request is for a whole URL, as proxies get them, and for that of another server."""
        if request.raw_path.startswith("/"):
            return False
        host, port, *_ = request.get_extra_info("sockname") or ("", 0)
        authority = _authority(request)
        return authority not in {f"{host}:{port}", f"[{host}]:{port}"} and self._is_foreign(authority)

    async def finish(self, grace: float) -> None:
        """Wait for the requests under way, and break off those that take longer than `grace` seconds."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace)
        for exchange in list(self._running):
            exchange.abort()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def _call(self, request: web.BaseRequest, *, misdirected: bool) -> web.StreamResponse:
        # read now: a connection that is gone has no other end
        peer = _peer(request)
        visit = _Visit(uuid.uuid4().hex, request.method if request.method in METHODS else "OTHER", peer)
        try:
            if misdirected:
                visit.status = 421
                refusal = Refusal(421, "Misdirected", "this server has another name; use the one in the URLs it makes")
                response = _refused(refusal, visit.request_id, request)
                # with two names, a proxy may read the bytes that follow as another request than this server does
                response.force_close()
                return response
            return await self._response(request, visit)
        finally:
            self._journal.note(_ended(visit))

    async def _response(self, request: web.BaseRequest, visit: _Visit) -> web.StreamResponse:
        try:
            response = await self._carried_out(request, visit)
        except ConnectionError:
            refusal = Refusal(_GONE, "NetworkError", "the connection broke")
        except web.RequestPayloadError:
            refusal = Refusal(400, "InvalidParameter", "the body is broken off or malformed, and nothing was stored")
        except Refusal as error:
            refusal = error
        except StorageError as error:
            refusal = Refusal.of(error)
        except Exception as error:
            log.exception("%s failed, request %s", visit.method, visit.request_id)
            refusal = Refusal.of(out_of_descriptors()) if is_out_of_descriptors(error) else _internal()
        else:
            visit.status = response.status
            return response
        visit.status = refusal.status
        if visit.exchange is not None and visit.exchange.response is not None:
            visit.exchange.abort()
            return visit.exchange.response
        return _refused(refusal, visit.request_id, request)

    async def _carried_out(self, request: web.BaseRequest, visit: _Visit) -> web.StreamResponse:
        if request.method not in METHODS:
            raise Refusal(
                405, "Unsupported", f"use one of {', '.join(METHODS)}, as in the URL", {"Allow": ", ".join(METHODS)}
            )
        url = _read(request)
        visit.bucket, visit.key = url.grant.bucket, url.grant.key
        visit.principal = self._urls.admit(url, request.method)
        if not self._places.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server carries out {self._most} requests already; try again in a moment", retry_after=_RETRY_AFTER
            )
        visit.exchange = exchange = Exchange(request, self._idle_timeout, _always(visit.request_id))
        store = AuthorizedStore(self._store, visit.principal)
        work = self._threads.submit(self._work, exchange, store, url)
        work.add_done_callback(self._leave)
        self._running[exchange] = waiting = asyncio.wrap_future(work)
        try:
            await waiting
        finally:
            del self._running[exchange]
        assert exchange.response is not None
        return exchange.response

    def _work(self, exchange: Exchange, store: AuthorizedStore, url: PresignedUrl) -> None:
        with self._gate.passed(), self._journal.transfer():
            objects.answer(exchange, store, url.grant)

    def _leave(self, _done: Future[None]) -> None:
        self._places.release()


def _read(request: web.BaseRequest) -> PresignedUrl:
    """Return what the URL says; one that says nothing of sense is refused like one with a wrong signature."""
    try:
        return read_url(_target(request))
    except InvalidParameterError:
        raise Refusal(403, "Unauthenticated", WRONG) from None


def _target(request: web.BaseRequest) -> str:
    """Return path and query as they came, not as aiohttp reads them; a proxy may send all of a URL."""
    target = request.raw_path
    return target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]


def _authority(request: web.BaseRequest) -> str:
    return request.raw_path.partition("://")[2].partition("/")[0].partition("?")[0]


def _internal() -> Refusal:
    return Refusal(
        500, "StorageError", "internal error of the storage server; its log has the cause under this request id"
    )


def unread(request: web.BaseRequest, status: int) -> web.Response:
    """Return the answer to a request that could not be read, or failed where nothing is known of it."""
    refusal = _internal() if status == _FAILED else Refusal(status, "InvalidParameter", "this is no request of HTTP")
    response = _refused(refusal, uuid.uuid4().hex, request)
    response.force_close()
    return response


def _shown(page: Page) -> web.Response:
    return web.Response(status=page.status, body=page.body, headers={**ALWAYS, "Content-Type": page.content_type})


def _refused(refusal: Refusal, request_id: str, request: web.BaseRequest) -> web.Response:
    headers = {**_always(request_id), **refusal.headers}
    if refusal.status == 304:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "application/json; charset=utf-8"
    response = web.Response(status=refusal.status, body=refusal.body(request_id), headers=headers)
    if request.can_read_body:
        # what is still to come of the body is not waited for
        response.force_close()
    return response


def _always(request_id: str) -> dict[str, str]:
    return {**ALWAYS, "x-acs-request-id": request_id}


def _ended(visit: _Visit) -> Ended:
    return Ended(
        method=visit.method,
        status=str(visit.status),
        bucket=visit.bucket,
        key=visit.key,
        size=visit.exchange.size if visit.exchange else 0,
        seconds=time.perf_counter() - visit.began,
        request_id=visit.request_id,
        peer=visit.peer,
        access_key=visit.principal.access_key,
        proved=visit.principal is not NOBODY,
    )


def _peer(request: web.BaseRequest) -> str:
    """Return the other end as gRPC writes it."""
    address = request.get_extra_info("peername") or ("", 0)
    host, port = address[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
