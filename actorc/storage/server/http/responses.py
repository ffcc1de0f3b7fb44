"""Responses that are there whole: pages, and refusals of requests."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from actorc.random_ids import random_id

from .errors import Refusal
from .pages import Page
from .response_headers import ALWAYS

_FAILED: Final = 500
_NO_LENGTH: Final = 411


def internal() -> Refusal:
    """Return the refusal of a request that failed for a reason that stays in the log."""
    return Refusal(
        500, "StorageError", "internal error of the storage server; its log has the cause under this request id"
    )


def malformed_response(request: web.BaseRequest, status: int) -> web.Response:
    """Return the response to a request that could not be parsed, or failed outside of `HttpHandler`."""
    refusal = internal() if status == _FAILED else Refusal(status, "InvalidParameter", "this is no request of HTTP")
    response = refusal_response(refusal, random_id(), request)
    response.force_close()
    return response


def page_response(page: Page) -> web.Response:
    """Return a page as a response."""
    headers = {**ALWAYS, **page.headers, "Content-Type": page.content_type}
    return web.Response(status=page.status, body=page.body, headers=headers)


def refusal_response(refusal: Refusal, request_id: str, request: web.BaseRequest) -> web.Response:
    """Return the response to a request that is refused."""
    headers = {**common_headers(request_id), **refusal.headers}
    if refusal.status == 304:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "application/json; charset=utf-8"
    response = web.Response(status=refusal.status, body=refusal.body(request_id), headers=headers)
    if request.can_read_body or refusal.status == _NO_LENGTH:
        # the rest of the body is not read, and may follow where no length was said, so nothing can be read behind it
        response.force_close()
    return response


def common_headers(request_id: str) -> dict[str, str]:
    """Return the headers of every response to a request."""
    return {**ALWAYS, "x-acs-request-id": request_id}
