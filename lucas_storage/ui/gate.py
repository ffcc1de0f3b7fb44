"""Which requests are let in: those of this machine's browser that have the token, and no others."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

_TOKEN_BYTES: Final = 32
METHODS: Final = ("GET", "HEAD", "POST")
"""The last one is for the forms that change access keys, and nothing else is changed by this program."""


class Gate:
    """Lets requests in. Holds the token, which ends with the program.

    Args:
        port: The port of the program, which is part of the names that a browser of this machine has for it.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        """The first part of every address."""
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    def refusal(self, method: str, path: str, hosts: Sequence[str], origins: Sequence[str]) -> tuple[int, str] | None:
        """Return the status and the reason of a refusal; None lets the request in.

        Args:
            method: Method of HTTP.
            path: Path of the address.
            hosts: All values of ``Host``.
            origins: All values of ``Origin``.
        """
        # A page of another site may make a name of its own resolve to this machine; the browser then sends that name.
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This is no name of this program; use the address that it printed."
        # What another site's page asks for carries its origin. A file that opens the page has none.
        if method == "POST" and len(origins) != 1:
            return 403, "A form is sent by a browser from a page of this program, and says so."
        if any(origin.lower().removeprefix("http://") not in self._hosts for origin in origins):
            return 403, "Pages of other sites may not ask this program."
        if method not in METHODS:
            return 405, "This program shows pages and takes their forms; it has no other methods."
        given = path.removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(errors="replace"), self.token.encode()):
            return 403, "The address lacks the token of this program; use the address that it printed."
        return None
