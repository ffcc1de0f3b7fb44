"""Cells in a real kernel, as Jupyter runs them."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Shown:
    """What a cell shows."""

    outputs: list

    @property
    def text(self):
        """All that is printed or returned, as text."""
        return "".join(each.get("text", "") or each.get("data", {}).get("text/plain", "") for each in self.outputs)

    @property
    def html(self):
        return "".join(each.get("data", {}).get("text/html", "") for each in self.outputs)

    @property
    def error(self):
        """The traceback without colours; empty without an error."""
        found = ("\n".join(each.traceback) for each in self.outputs if each.output_type == "error")
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(found))


class Notebook:
    """A notebook whose cells are run one by one, on a loop that the fixture closes."""

    def __init__(self, client, loop):
        self._client = client
        self._loop = loop

    def __call__(self, source):
        """Run a cell and return what it shows, an error too."""
        return self._loop.run(self._execute(source))

    def interrupted(self, source, when):
        """Run a cell, interrupt it as Ctrl-C does as soon as `when` returns true, and return what it shows."""
        return self._loop.run(self._interrupted(source, when))

    def restart(self):
        """Do what the button does: the kernel is another process afterwards."""
        self._loop.run(self._restart())

    async def _execute(self, source):
        cell = nbformat_v4().new_code_cell(textwrap.dedent(source).strip())
        self._client.nb.cells.append(cell)
        await self._client.async_execute_cell(cell, len(self._client.nb.cells) - 1)
        return Shown(cell.outputs)

    async def _interrupted(self, source, when):
        running = asyncio.create_task(self._execute(source))
        while not when():  # noqa: ASYNC110  # the kernel is another process
            await asyncio.sleep(0.05)
        await self._client.km.interrupt_kernel()
        return await running

    async def _restart(self):
        await self._client.km.restart_kernel(now=True)
        await self._client.kc.wait_for_ready(timeout=60)


def nbformat_v4():
    return pytest.importorskip("nbformat").v4


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A notebook in a directory of its own, whose kernel is that of this Python and has no settings."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in [name for name in os.environ if name.startswith(("STORAGE_", "LUCAS_STORAGE_"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("LUCAS_STORAGE_RUN_PORT", "0")
    # The one of this Python, whatever is installed for the user.
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    with asyncio.Runner() as loop:
        # Outputs come on a channel of their own, late on a busy machine.
        options = {"timeout": 120, "iopub_timeout": 60, "allow_errors": True}
        place = {"metadata": {"path": str(tmp_path)}}
        client = nbclient.NotebookClient(nbformat_v4().new_notebook(), resources=place, **options)
        kernel = client.async_setup_kernel()
        loop.run(kernel.__aenter__())
        try:
            yield Notebook(client, loop)
        finally:
            loop.run(kernel.__aexit__(None, None, None))
