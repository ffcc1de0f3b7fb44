"""The IPython extension: what ``%load_ext lucas_storage`` does, and ``%unload_ext`` takes back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from actorc.storage.client import StorageClient
from lucas_storage import settings
from lucas_storage.display import live
from lucas_storage.display.markup import cut_to
from lucas_storage.display.tracebacks import shown_short
from lucas_storage.local_service.local import local

from . import listing_html

_HTML: Final = "text/html"
_NAME: Final = 48
"""Letters of the name of an object beside a bar; that of an artifact has its digest."""


def load(shell: Any) -> None:
    """Let a notebook use storage and workflows as `local` does; repeating it does nothing.

    Listings are shown as tables, transfers of files and streams that take a while as bars, and errors up to the cell's
    own line.

    Args:
        shell: The running IPython shell.
    """
    # First: if no server can be had, that error is shown short as well.
    if not isinstance(shell.showtraceback, _ShortTracebacks):
        shell.showtraceback = _ShortTracebacks(shell)
    local()
    formatter = shell.display_formatter.formatters[_HTML]
    if not isinstance(before := formatter.for_type(dict), _Listings):
        formatter.for_type(dict, _Listings(before))
    if StorageClient.default_progress is None:
        StorageClient.default_progress = staticmethod(_transfer_bar)


def unload(shell: Any) -> None:
    """Show listings, transfers and errors as without the extension; the server stays in use until the process ends."""
    if isinstance(shell.showtraceback, _ShortTracebacks):
        shell.showtraceback = shell.showtraceback.inner
    formatter = shell.display_formatter.formatters[_HTML]
    if isinstance(present := formatter.for_type(dict), _Listings):
        formatter.pop(dict)
        formatter.for_type(dict, present.inner)
    if StorageClient.default_progress is _transfer_bar:
        StorageClient.default_progress = None


def _transfer_bar(bucket: str, key: str) -> live.ByteBar | None:
    display = live.notebook() if settings.resolve().progress.value else None
    return None if display is None else live.ByteBar(display, cut_to(f"{bucket}/{key}", _NAME))


class _Listings:
    """Shows a listing as a table, and every other dict as before.

    IPython asks one function for a class and all classes made of it, in place of a `_repr_html_` that they have.
    """

    def __init__(self, inner: Callable[[Any], str | None] | None) -> None:
        self.inner = inner

    def __call__(self, value: Any) -> str | None:
        from IPython.utils.dir2 import get_real_method  # noqa: PLC0415  # is loaded where this is called

        if listing_html.is_listing(value):
            return listing_html.html(value)
        if self.inner is not None:
            return self.inner(value)
        own: Callable[[], str | None] | None = get_real_method(value, "_repr_html_")
        return None if own is None else own()


class _ShortTracebacks:
    """Shows an error as IPython does, less what `shown_short` leaves out.

    In the place of the shell's method, since IPython has one slot for those who format errors, and it may be taken.
    """

    def __init__(self, shell: Any) -> None:
        self.inner = shell.showtraceback

    def __call__(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if not isinstance(error, BaseException):
            # Without an error IPython shows the last one again.
            error = getattr(sys, "last_value", None)
        if error is None:
            self.inner(exc_tuple, *args, **options)
            return
        with shown_short(error):
            self.inner((type(error), error, error.__traceback__), *args, **options)
        # IPython keeps it for the debugger, which shows all frames.
        sys.last_traceback = error.__traceback__
