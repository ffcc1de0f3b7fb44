"""Where events go: a file with a JSON document in each line, or a URL that takes each by POST."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit

_PATH: Final = "/api/v1/lineage"
"""The path that receivers have by the specification."""
_PATIENCE: Final = 5.0
"""Seconds in which a receiver answers."""
_ANSWER_MAX: Final = 64 << 10
"""Bytes of an answer that are read."""
_MODE: Final = 0o666


class EventFile:
    """A file to which events are appended, each as a line of its own also where several processes do so.

    Args:
        path: Of the file; it and its directory are made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, event: Mapping[str, Any]) -> None:
        """Append an event."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            while line:
                line = line[os.write(file, line) :]
        finally:
            os.close(file)

    def __str__(self) -> str:
        return str(self._path)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for a refusal: it would ask another place for a page, and show it the key."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, by which the answer becomes an error."""


_opener: Final = urllib.request.build_opener(_NoRedirects)


class EventUrl:
    """A receiver such as Marquez, at a URL.

    Args:
        url: Its address; without a path that of the specification.
        key: Sent as a bearer token; None sends none.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        self._url = url if parts.path.strip("/") else urlunsplit(parts._replace(path=_PATH))
        self._shown = f"{parts.scheme}://{parts.hostname}"
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event and wait for the answer."""
        body = json.dumps(event, separators=(",", ":")).encode()
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310  # the setting is checked
        try:
            with _opener.open(request, timeout=_PATIENCE) as answer:
                answer.read(_ANSWER_MAX)
        except HTTPError as refusal:
            # it holds the connection
            refusal.close()
            raise

    def __str__(self) -> str:
        return self._shown
