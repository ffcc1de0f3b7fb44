"""Buckets that make themselves when something is written to them, if they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.server.engines.base import Engine

T = TypeVar("T")


class WrittenBuckets:
    """The buckets that writes go to.

    Args:
        engine: Where they are.
        auto_create: Whether a write to a bucket that does not exist makes it; a function is asked at each write.
    """

    def __init__(self, engine: Engine, *, auto_create: bool | Callable[[], bool]) -> None:
        self._engine = engine
        self._auto_create = auto_create

    @property
    def auto_create(self) -> bool:
        """Whether a write to a bucket that does not exist makes it, as things are now."""
        return self._auto_create if isinstance(self._auto_create, bool) else self._auto_create()

    def write(self, bucket: str, change: Callable[[], T]) -> T:
        """Return what `change` returns, which writes to `bucket`.

        Raises:
            BucketNotFoundError: There is no such bucket and it may not be made, or `change` misses another one.
        """
        try:
            return change()
        except BucketNotFoundError as error:
            if not self.auto_create or error.bucket != bucket:
                raise
        self._engine.create_bucket(bucket, exist_ok=True)
        return change()
