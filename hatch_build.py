"""What a build adds: the text of the package's page, and what keeps a wheel whole beside upstream's ``actorc``."""

from __future__ import annotations

import re
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https:)[^)]*\)")


class PackagePage(MetadataHookInterface):
    """Gives the page of the package in an index the README, without links and pictures that lie beside it here."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        page = _LINK.sub(r"\1", _PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


class ActorcPrecedence(BuildHookInterface):
    """Keeps second copies of the files that another installation may overwrite; see ``_actorc_precedence.py``."""

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
