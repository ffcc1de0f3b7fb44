"""Processes of a server: start, workers, ports, shutdown."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "serve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .main import serve  # noqa: PLC0415  # pickles name it here; a worker process needs the rest of `main` not at all

    return serve
