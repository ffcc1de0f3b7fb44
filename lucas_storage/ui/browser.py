"""Opens a browser at an address that no other user of the machine may read."""

from __future__ import annotations

import html
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a browser can be seen; in others a browser for terminals would take this one."""


@contextmanager
def opened(address: str) -> Iterator[None]:
    """Open a browser, where one can be seen; until the end of the body there is a private file that leads there.

    The command line of a browser can be read by every user of the machine, so it names the file, not the address.

    Args:
        address: With the token in it.
    """
    with tempfile.TemporaryDirectory(prefix="lucas-storage-ui-") as folder:
        page = Path(folder, "open.html")
        page.touch(0o600)
        target = html.escape(address, quote=True)
        page.write_text(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={target}">')
        if sys.platform == "darwin" or any(name in os.environ for name in _DISPLAYS):
            # A daemon: some browsers are waited for until they are closed.
            threading.Thread(target=webbrowser.open, args=(page.as_uri(),), name="browser", daemon=True).start()
        yield
