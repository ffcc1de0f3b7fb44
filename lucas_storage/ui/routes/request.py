"""One request for a page: what is asked for, and with what it is read."""

from __future__ import annotations

import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from actorc.storage.errors import InvalidParameterError
from lucas_storage.storage import Storage
from lucas_storage.ui.pages.page import Page, Reader

from .server_metrics import Sample

_FORMS_MAX: Final = 1000
"""Forms that were shown and not sent yet; older ones must be shown again."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """The only things that the program remembers between two requests. Threads may share it."""

    sample: Sample | None = None
    """The last look at the metrics of the server; requests may replace it at the same time, and each is as good."""
    _forms: OrderedDict[str, None] = field(default_factory=OrderedDict)
    # Guards `_forms`: of two requests with the same form one is the first.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_form(self) -> str:
        """Return what lets a form be sent once, so that a page that is loaded again changes nothing a second time."""
        made = secrets.token_urlsafe()
        with self._lock:
            self._forms[made] = None
            while len(self._forms) > _FORMS_MAX:
                self._forms.popitem(last=False)
        return made

    def is_first(self, form: str) -> bool:
        """Return whether a form was shown and is sent for the first time."""
        with self._lock:
            return self._forms.pop(form, self) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was let in."""

    storage: Storage
    query: Mapping[str, str]
    """What is asked for, in the address or by a form."""
    reader: Reader
    memory: Memory
    data: Path | None
    """The data directory of the server; None if it is on another machine, or not known."""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """All values of each name of a form."""

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a name of a form."""
        return self.repeated.get(name, ())

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
