"""Cells in a real kernel, as Jupyter runs them."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import dataclass

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
    """A notebook whose cells are run one by one."""

    def __init__(self, client):
        self._client = client
        self._format = pytest.importorskip("nbformat").v4

    def __call__(self, source):
        """Run a cell and return what it shows, an error too."""
        return self.begin(source)()

    def begin(self, source):
        """Return a function that runs a cell, for another thread."""
        cell = self._format.new_code_cell(textwrap.dedent(source).strip())
        self._client.nb.cells.append(cell)
        index = len(self._client.nb.cells) - 1

        def ended():
            self._client.execute_cell(cell, index)
            return Shown(cell.outputs)

        return ended

    def interrupt(self):
        """Do what the button does, and Ctrl-C."""
        self._client.km.interrupt_kernel()

    def restart(self):
        self._client.km.restart_kernel(now=True)
        self._client.kc.wait_for_ready(timeout=60)


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A notebook in a directory of its own, whose kernel is that of this Python and has no settings."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for name in [name for name in os.environ if name.startswith(("STORAGE_", "LUCAS_STORAGE_"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("LUCAS_STORAGE_RUN_PORT", "0")
    # The one of this Python, whatever is installed for the user.
    monkeypatch.setenv("JUPYTER_PATH", os.path.join(sys.prefix, "share", "jupyter"))  # noqa: PTH118
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(), timeout=120, allow_errors=True, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(client.setup_kernel())
        yield Notebook(client)
