"""Adds to a wheel what keeps it whole beside upstream's ``actorc``; see ``_actorc_precedence.py``."""

from __future__ import annotations

import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ActorcPrecedence(BuildHookInterface):
    """Keeps second copies of the files that another installation may overwrite."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the copies, except to an editable installation: its files lie where nobody overwrites them."""
        if version == "editable":
            return
        precedence = runpy.run_path(str(Path(self.root, "_actorc_precedence.py")))
        # A file that is included by force is no longer included where it belongs, so copies of it are.
        self._copies = tempfile.mkdtemp()
        for file in precedence["SHARED"].values():
            copy = Path(self._copies, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(self.root, "actorc", file), copy)
        build_data["force_include"][self._copies] = precedence["KEPT"]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the copies."""
        if version != "editable":
            shutil.rmtree(self._copies)
