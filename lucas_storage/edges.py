"""What `StorageExecutor` shows to plain code: values, where references travel."""

from __future__ import annotations

from typing import Any

from . import boundary
from .executor import Edges, StorageExecutor

__all__ = ["StorageExecutor"]


class StorageEdges(Edges):
    """``wf.func``, ``[k]``, ``+`` and ``map`` see the value of a reference."""

    def local(self, value: Any) -> Any:
        """Return the value, every reference in it resolved."""
        return boundary.value_of(value)


StorageExecutor.edges = StorageEdges()
