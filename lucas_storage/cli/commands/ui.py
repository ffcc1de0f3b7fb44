"""`ui`: shows runs, artifacts and buckets in a browser of this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.session import Session, reading

if TYPE_CHECKING:
    from lucas_storage.ui.connection import OpenedStore

_LIBRARIES: Final = ("aiohttp", "prometheus_client")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="A port; else a free one.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="The language; else that of the browser.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
@reading
def ui(session: Session, *, port: int, lang: str | None, no_browser: bool) -> None:
    """Show runs, artifacts and buckets in a browser of this machine, until Ctrl-C.

    The address has a secret in it that ends with the program; who has it may see what your access key may, and change
    access keys if it allows everything. Nothing else can be changed there, and other machines cannot reach it.
    """
    if missing := [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]:
        raise click.UsageError(f"the pages need {' and '.join(missing)}; pip install 'lucas-storage[ui]'")
    from lucas_storage.ui import browser, serving  # noqa: PLC0415  # of the extra

    with ExitStack() as stack:

        def announce(address: str) -> None:
            session.emit({"url": address}, f"{address}\nCtrl-C ends it.")
            if not no_browser:
                stack.enter_context(browser.opened(address))

        serving.serve(partial(_store, session), port, lang, announce)


@contextmanager
def _store(session: Session) -> Iterator[OpenedStore]:
    """Yield the store that the options of the command mean by now."""
    from lucas_storage.ui.connection import OpenedStore  # noqa: PLC0415  # as above

    with closing(session.anew()) as present, artifacts(present) as storage:
        yield OpenedStore(storage, present.data())
