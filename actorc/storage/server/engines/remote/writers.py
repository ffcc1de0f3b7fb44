# ruff: noqa: D102 (what the methods promise is said in base.py)
"""Bytes on their way into the store: staged here until the commit, because what goes with them is known then."""

from __future__ import annotations

from collections.abc import Callable

from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, PartInfo
from actorc.storage.server.engines.base import ObjectWriter, PartWriter, Writer

from .spool import Spool


class StagedWriter(Writer):
    """Collects bytes until they are sent.

    Args:
        spool: Where.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        self._spool.write(data, crc32c)

    @property
    def size(self) -> int:
        return self._spool.size

    def checksum(self) -> int:
        return self._spool.checksum()

    def abort(self) -> None:
        self._spool.drop()


class RemoteObjectWriter(StagedWriter, ObjectWriter):
    """One object on its way in.

    Args:
        spool: Where its bytes wait.
        publish: Called with them, attributes, condition and idempotency key.
    """

    def __init__(self, spool: Spool, publish: Callable[[Spool, ObjectAttributes, Condition, str], ObjectInfo]) -> None:
        super().__init__(spool)
        self._publish = publish

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        return self._publish(self._spool, attributes, condition, idempotency_key)


class RemotePartWriter(StagedWriter, PartWriter):
    """One part on its way in.

    Args:
        spool: Where its bytes wait.
        publish: Called with them.
    """

    def __init__(self, spool: Spool, publish: Callable[[Spool], PartInfo]) -> None:
        super().__init__(spool)
        self._publish = publish

    def commit(self, *, idempotency_key: str = "") -> PartInfo:  # noqa: ARG002 - a part put twice is one part
        return self._publish(self._spool)
