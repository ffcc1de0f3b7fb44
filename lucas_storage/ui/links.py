"""Addresses of the pages, all of them below the token of the program."""

from __future__ import annotations

from urllib.parse import urlencode


class Links:
    """Makes addresses. Names of strangers are in their queries alone, so no name becomes a path.

    Args:
        token: The secret without which nothing is answered.
    """

    def __init__(self, token: str) -> None:
        self._base = f"/{token}/"

    def to(self, page: str, **query: str | int | None) -> str:
        """Return the address of a page.

        Args:
            page: Its name in `pages_by_name`, `download`, or the name of a file of the program.
            query: What it shows; None is left out.
        """
        given = {name: str(value) for name, value in query.items() if value is not None}
        return f"{self._base}{page}?{urlencode(given, errors='replace')}" if given else f"{self._base}{page}"
