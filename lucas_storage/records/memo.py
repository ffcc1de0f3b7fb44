"""Memoization: the result of a call, recorded under its key and reused by later calls with the same inputs.

The first record that is written wins. A process that computed the same result meanwhile returns the recorded one, so
that all readers see one result, even of a function that never returns the same twice.
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

from . import record_store, record_text

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 5

_in_flight: Final[dict[tuple[int, str, str, str], threading.Event]] = {}
"""Calls that a thread is computing, by process and record: a forked child has none of the threads that would end them.

Without a lock: `setdefault` and `del` are one operation each."""


class Memo:
    """The record of one call, for the thread that makes it.

    Args:
        storage: Its default bucket holds the record.
        key: Identifies the call; from `lucas_storage.steps.call_key.call_key`.
        function: Named in the record and in the log.
        age: Seconds after which a record expires; None for never.
    """

    def __init__(self, storage: ArtifactStore, key: str, function: str, age: float | None) -> None:
        self._storage = storage
        self._record_key = record_store.record_key(record_store.MEMO, key)
        self._function = function
        self._age = age
        self._stale: str | None = None

    @contextmanager
    def single_flight(self, *, wait: bool) -> Iterator[None]:
        """Enter the body after any other thread of this process that computes the same call has ended.

        Args:
            wait: Whether to wait for that thread. False for a nested step, since two of them could wait for each other.
        """
        done = threading.Event()
        # Only within this process: other processes may compute the same at the same time, and the first record wins.
        record = (os.getpid(), self._storage.store_name, self._storage.bucket, self._record_key)
        first = _in_flight.setdefault(record, done)
        if first is not done:
            if wait:
                first.wait()
            yield
            return
        try:
            yield
        finally:
            del _in_flight[record]
            done.set()

    def recall(self) -> tuple[Any] | None:
        """Return the recorded result in a tuple of its own, since it may be None; None if there is no usable one.

        A record is used if it is young enough and all its artifacts are there. It is not if it holds a pickle that is
        not signed, or cannot be read.
        """
        record = record_store.read(self._storage, self._record_key)
        self._stale = None if record is None else record.etag  # `remember` replaces this one, and no newer one
        if record is None:
            return None
        content = record.content or {}
        problem = self._problem(content)
        if problem:
            logger.warning("the cached result of %r %s; the function runs again", self._function, problem)
            return None
        return (content["result"],)

    def remember(self, result: Any) -> Any:
        """Record a result and return it, or the result that another process recorded meanwhile.

        Args:
            result: JSON data and references, all of whose artifacts are stored.
        """
        content = {**self._facts(), "result": result}
        # Again if the other record cannot be used either, such as one that expired in between. After some attempts
        # the result is returned without a record: a busy key is no reason to fail a step that succeeded.
        for _ in range(_ATTEMPTS):
            condition = {"if_absent": True} if self._stale is None else {"if_match": self._stale}
            try:
                record_store.write(self._storage, self._record_key, content, **condition)
            except (AlreadyExistsError, ObjectNotFoundError, PreconditionFailedError):
                # Another process was first, or its record was removed in between. Its result counts, if it can be used.
                kept = self.recall()
                if kept is not None:
                    return kept[0]
            else:
                break
        # Through the encoding, so that this call returns exactly the data that later calls will read.
        return (record_text.decode(record_text.encode(content)) or content)["result"]

    def prepared(self, result: Any) -> record_store.Prepared:
        """Return a record for a run that resumes this one, to be written in place of any earlier record.

        Args:
            result: A result as it travels, all of whose artifacts are stored; it may change afterwards.
        """
        text = record_text.encode_facts(self._facts(), {"result": record_text.encode_travelling(result)})
        return record_store.Prepared(self._storage, self._record_key, text)

    def _facts(self) -> dict[str, Any]:
        return {
            "memo": 1,
            "function": self._function,
            "at": time.time(),
            "age": self._age,
            "run": current.run_id(),
        }

    def _problem(self, content: Mapping[str, Any]) -> str | None:
        at: Any = content.get("at")
        # Checked field by field: a stranger, or a newer version, may have written the record.
        if content.get("memo") != 1 or "result" not in content or type(at) not in (int, float):
            return "cannot be read"
        if self._age is not None and time.time() - at >= self._age:
            return "has expired"
        refs = list(record_text.refs_in(content["result"]))
        if not all(map(record_store.is_trusted, refs)):
            return "holds what is read only from a signed reference"
        if not record_store.all_exist(self._storage, refs):
            return "names artifacts that are gone"  # gc removes artifacts; a reader would find out only later
        return None
