"""What a function returned for the same inputs before: found again by key, and the same for everybody.

The first record that is written wins. Whoever computed the same meanwhile takes over what the record says, so that all
readers see one result, even of a function that never returns the same twice.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from actorc.storage.errors import AlreadyExistsError, ObjectNotFoundError, PreconditionFailedError
from lucas_storage import current
from lucas_storage.artifacts.store import ArtifactStore

from . import record_store

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 5

_under_way: Final[dict[tuple[int, str, str, str], threading.Event]] = {}
"""Who is making what, by process and record: a forked child has none of the threads that would end it."""


class Memo:
    """The record of one call.

    Args:
        storage: Its default bucket holds the record.
        key: What tells the call from others, as `lucas_storage.steps.call_key.call_key` gives it.
        function: Named in the record and in the log.
        age: Seconds after which a record counts no more; None for never.
    """

    def __init__(self, storage: ArtifactStore, key: str, function: str, age: float | None) -> None:
        self._storage = storage
        self._place = record_store.place(record_store.MEMO, key)
        self._function = function
        self._age = age
        self._stale: str | None = None

    @contextmanager
    def making(self, *, patient: bool) -> Iterator[None]:
        """Make sure that in the body the result is there to recall, if another thread was making it, unless it failed.

        Args:
            patient: Whether to wait for that thread. A step that another step waits for must not be, or two of them
                could wait for each other.
        """
        done = threading.Event()
        record = (os.getpid(), self._storage.store_name, self._storage.bucket, self._place)
        first = _under_way.setdefault(record, done)
        if first is not done:
            if patient:
                first.wait()
            yield
            return
        try:
            yield
        finally:
            del _under_way[record]
            done.set()

    def recall(self) -> tuple[Any] | None:
        """Return the result that was kept, in a tuple of its own; None if there is none that can be used.

        A record is used if it is young enough and all its artifacts are there. It is not if it holds a pickle that is
        not signed, or cannot be read.
        """
        record = record_store.read(self._storage, self._place)
        self._stale = None if record is None else record.etag
        if record is None:
            return None
        content = record.content or {}
        problem = self._problem(content)
        if problem:
            logger.warning("the cached result of %r %s; the function runs again", self._function, problem)
            return None
        return (content["result"],)

    def remember(self, result: Any) -> Any:
        """Keep a result, and return it, or the one that was kept by somebody else meanwhile.

        Args:
            result: JSON data and references, all of whose artifacts are stored.
        """
        content = self._content(result)
        for _ in range(_ATTEMPTS):
            condition = {"if_absent": True} if self._stale is None else {"if_match": self._stale}
            try:
                record_store.write(self._storage, self._place, content, **condition)
            except (AlreadyExistsError, ObjectNotFoundError, PreconditionFailedError):
                kept = self.recall()
                if kept is not None:
                    return kept[0]
            else:
                break
        return (record_store.decode(record_store.encode(content)) or content)["result"]

    def leave(self, result: Any, timeout: float) -> None:
        """Keep a result for whoever resumes, in place of what an earlier run left.

        Args:
            result: As `remember` takes it.
            timeout: Seconds this may take.
        """
        record_store.write(self._storage, self._place, self._content(result), timeout=timeout)

    def _content(self, result: Any) -> dict[str, Any]:
        return {
            "memo": 1,
            "function": self._function,
            "at": time.time(),
            "age": self._age,
            "run": current.run_id(),
            "result": result,
        }

    def _problem(self, content: Mapping[str, Any]) -> str | None:
        at: Any = content.get("at")
        if content.get("memo") != 1 or "result" not in content or type(at) not in (int, float):
            return "cannot be read"
        if self._age is not None and time.time() - at >= self._age:
            return "has expired"
        refs = list(record_store.refs_in(content["result"]))
        if not all(map(record_store.is_trusted, refs)):
            return "holds what is read only from a signed reference"
        if not record_store.all_exist(self._storage, refs):
            return "names artifacts that are gone"
        return None
