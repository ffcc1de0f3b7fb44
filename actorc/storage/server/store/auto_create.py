"""Creates missing buckets when something is written to them, if the server allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.server.engines.base import Engine

T = TypeVar("T")


class BucketCreation:
    """Runs writes, and creates the bucket that they miss. Any thread may call it.

    Args:
        engine: The engine.
        auto_create: Whether a write to a missing bucket creates it; a function is called at each write.
    """

    def __init__(self, engine: Engine, *, auto_create: bool | Callable[[], bool]) -> None:
        self._engine = engine
        self._auto_create = auto_create

    @property
    def auto_create(self) -> bool:
        """Whether a write to a missing bucket creates it now."""
        return self._auto_create if isinstance(self._auto_create, bool) else self._auto_create()

    def write(self, bucket: str, change: Callable[[], T]) -> T:
        """Run `change`, which writes to `bucket`, and return its result.

        Raises:
            BucketNotFoundError: There is no such bucket and it may not be created, or `change` misses another one.
        """
        # tried first, so that a write to an existing bucket costs no look-up
        try:
            return change()
        except BucketNotFoundError as error:
            if not self.auto_create or error.bucket != bucket:
                raise
        # another writer may create it at the same time
        self._engine.create_bucket(bucket, exist_ok=True)
        return change()
