"""The program behind the pages: requests in, pages out. For the event loop; what is read is read on threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Final, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from actorc.storage.errors import StorageError

from .connection import Connection, OpenedStore
from .gate import Gate
from .links import Links
from .pages.failures import defect, failed, still_reading, unknown_page
from .pages.page import Page, Reader, framed
from .pages_by_name import FORMS, ROUTES
from .response_headers import ALWAYS, of_download
from .routes.request import Memory, Request, Route
from .words.vocabulary import Words, preferred

T = TypeVar("T")

log = logging.getLogger(__name__)

_THREADS: Final = 8
_PATIENCE: Final = 20.0
"""Seconds that a browser waits for a page; then it is told so, and tries again."""
_PROBE: Final = 3.0
"""Seconds in which a server answers that is there."""
_FORM_MAX: Final = 64 << 10
"""Bytes of a form."""
_FORM_FIELDS: Final = 50
_FILES: Final = {"style.css": "text/css", "live.js": "text/javascript"}


class Application:
    """Answers requests. For one event loop.

    Args:
        connection: The store.
        gate: Decides who is let in.
        language: The language of the pages; None is that of the browser.
        endpoint: Address of the store, for the page that tells that it does not answer.
    """

    def __init__(self, connection: Connection, gate: Gate, language: str | None, endpoint: str) -> None:
        self._connection = connection
        self._gate = gate
        self._language = language
        self._endpoint = endpoint
        self._links = Links(gate.token)
        self._memory = Memory()
        self._reading: dict[Hashable, asyncio.Future[Page]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "lucas-storage-ui")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        headers = request.headers
        refusal = self._gate.refusal(
            request.method, request.path, headers.getall("Host", []), headers.getall("Origin", [])
        )
        if refusal is not None:
            status, reason = refusal
            return web.Response(status=status, text=f"{reason}\n", headers=ALWAYS)
        name = request.path.removeprefix("/").partition("/")[2]
        if request.method == "POST":
            return await self._form(name, request)
        if name in _FILES:
            return _file(name)
        if name == "download":
            return await self._download(request)
        return await self._page(name, request)

    def close(self) -> None:
        """Take no more requests."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _page(self, name: str, request: web.BaseRequest) -> web.Response:
        reader, query = self._reader(request), dict(request.query)
        if name not in ROUTES:
            return _response(unknown_page(reader), reader)
        read = self._reading_of(ROUTES[name], reader, query)
        asked = (name, tuple(sorted(query.items())), reader.words.language)
        return _response(await self._told(self._read_once(asked, read), name, reader) or still_reading(reader), reader)

    async def _form(self, name: str, request: web.BaseRequest) -> web.Response:
        """Do what a form is for, once."""
        reader = self._reader(request)
        if name not in FORMS:
            return _response(unknown_page(reader), reader)
        fields = await _fields(request)
        if fields is None:
            return web.Response(status=400, text="This is no form of a page of this program.\n", headers=ALWAYS)
        query = {each: values[0] for each, values in fields.items()}
        change = self._reading_of(FORMS[name], reader, query, fields)
        page = await self._told(self._on_thread(change), name, reader)
        assert page is not None
        return _response(page, reader)

    def _reader(self, request: web.BaseRequest) -> Reader:
        return Reader(Words(self._language or preferred(request.headers.get("Accept-Language", ""))), self._links)

    def _reading_of(
        self, route: Route, reader: Reader, query: dict[str, str], fields: dict[str, list[str]] | None = None
    ) -> Callable[[OpenedStore], Page]:
        def read(opened: OpenedStore) -> Page:
            self._endpoint = opened.storage.endpoint
            # A server that is gone is told at once: other calls go on for half a minute, in case it comes back.
            opened.storage.server_info(timeout=_PROBE)
            return route(
                Request(
                    storage=opened.storage,
                    query=query,
                    reader=reader,
                    memory=self._memory,
                    data=opened.data,
                    repeated=fields or {},
                )
            )

        return read

    async def _told(self, reading: Awaitable[Page | None], name: str, reader: Reader) -> Page | None:
        """Return what is read, or the page about the error that it ended with."""
        try:
            return await reading
        except StorageError as error:
            return failed(error, self._endpoint, reader)
        except Exception as error:  # a page is shown, whatever a record of a stranger leads to
            log.debug("the page %r failed", name, exc_info=True)
            return defect(type(error).__name__, reader)

    async def _read_once(self, asked: Hashable, read: Callable[[OpenedStore], Page]) -> Page | None:
        """Return what is read; None if that takes longer than a browser waits. What is being read is not read twice."""
        task = self._reading.get(asked)
        if task is None:
            task = self._reading[asked] = asyncio.ensure_future(self._on_thread(read))
            task.add_done_callback(lambda ended: self._has_read(asked, ended))
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        return task.result() if done else None

    def _has_read(self, asked: Hashable, ended: asyncio.Future[Page]) -> None:
        del self._reading[asked]
        if not ended.cancelled():
            ended.exception()  # asked for, as no browser may wait any more, and asyncio tells of others

    async def _download(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send an object as a file that no browser shows."""
        bucket, key = request.query.get("bucket", ""), request.query.get("key", "")
        name = request.query.get("name") or key.rpartition("/")[2]
        try:
            pieces, size = await self._on_thread(lambda opened: _opened(opened, bucket, key))
        except StorageError as error:
            reader = Reader(Words(self._language or "en"), self._links)
            return _response(failed(error, self._endpoint, reader), reader)
        response = web.StreamResponse(headers=of_download(name))
        response.content_length = size
        await response.prepare(request)
        try:
            if request.method == "GET":
                while piece := await asyncio.get_running_loop().run_in_executor(self._threads, next, pieces, b""):
                    await response.write(piece)
            await response.write_eof()
        except StorageError:
            # The browser knows the size, and tells that the file is not whole.
            log.debug("a download broke off", exc_info=True)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _on_thread(self, call: Callable[[OpenedStore], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._connection.run, call)


def _opened(opened: OpenedStore, bucket: str, key: str) -> tuple[Iterator[bytes], int]:
    """Return the pieces of an object, and its size."""
    head = opened.storage.head_object(bucket, key)
    return opened.storage.stream_object(bucket, key, generation=head["generation"]), head["size"]


def _response(page: Page, reader: Reader) -> web.Response:
    return web.Response(
        text=framed(page, reader), content_type="text/html", charset="utf-8", status=page.status, headers=ALWAYS
    )


async def _fields(request: web.BaseRequest) -> dict[str, list[str]] | None:
    """Return the fields of a form, with all values of each; None if it is none."""
    if request.content_type != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    while piece := await request.content.read(_FORM_MAX):
        body += piece
        if len(body) > _FORM_MAX:
            return None
    try:
        return parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_FORM_FIELDS
        )
    except ValueError:
        return None


def _file(name: str) -> web.Response:
    content = resources.files("lucas_storage.ui").joinpath("assets", name).read_bytes()
    return web.Response(body=content, content_type=_FILES[name], charset="utf-8", headers=ALWAYS)
