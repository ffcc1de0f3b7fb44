"""One request for a page: what is asked for, and with what it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from actorc.storage.errors import InvalidParameterError
from lucas_storage.storage import Storage
from lucas_storage.ui.pages.page import Page, Reader

from .server_metrics import Sample


@dataclass(slots=True, kw_only=True)
class Memory:
    """The only thing that the program remembers between two requests."""

    sample: Sample | None = None
    """The last look at the metrics of the server; requests may replace it at the same time, and each is as good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was let in."""

    storage: Storage
    query: Mapping[str, str]
    reader: Reader
    memory: Memory
    data: Path | None
    """The data directory of the server; None if it is on another machine, or not known."""

    def text(self, name: str) -> str:
        """Return a value of the query.

        Raises:
            InvalidParameterError: It is missing.
        """
        if not self.query.get(name):
            raise InvalidParameterError(f"the address lacks {name!r}")
        return self.query[name]

    def number(self, name: str, default: int, most: float = math.inf) -> int:
        """Return a number of the query, no less than 0 and no more than `most`; the default if there is none."""
        text = self.query.get(name, "")
        return int(min(int(text), most)) if text.isascii() and text.isdigit() and len(text) < 10 else default


Route: TypeAlias = Callable[[Request], Page]
