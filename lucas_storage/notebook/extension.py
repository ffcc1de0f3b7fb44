"""The IPython extension: what ``%load_ext lucas_storage`` does."""

from __future__ import annotations

from typing import Any

from lucas_storage.local_service.local import local

from . import listing_html


def load(shell: Any) -> None:
    """Let a notebook use storage and workflows as `local` does, and show listings as tables; repeating it does nothing.

    Args:
        shell: The running IPython shell.
    """
    local()
    _ListingTables(shell).install()


class _ListingTables:
    """Shows dicts that are listings as tables; for those that are not, IPython goes on as without this."""

    def __init__(self, shell: Any) -> None:
        self._formatter = shell.display_formatter.formatters["text/html"]

    def install(self) -> None:
        self._formatter.for_type(dict, listing_html.html_of)
