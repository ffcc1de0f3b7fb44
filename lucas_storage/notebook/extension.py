"""The IPython extension: what ``%load_ext lucas_storage`` does."""

from __future__ import annotations

from typing import Any

from lucas_storage.local_service.local import local


def load(shell: Any) -> None:  # noqa: ARG001  # IPython passes it
    """Let a notebook use storage and workflows as `local` does; calling it again does nothing.

    Args:
        shell: The running IPython shell.
    """
    local()
