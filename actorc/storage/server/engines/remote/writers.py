"""Writers of objects and parts: bytes are spooled until the commit, which brings the attributes of the object."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

from collections.abc import Callable

from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, PartInfo
from actorc.storage.server.engines.readers_writers import ObjectWriter, PartWriter, Writer

from .spool import Spool


class StagedWriter(Writer):
    """Spools bytes until they are sent. For one thread at a time.

    Args:
        spool: Holds the bytes.
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
    """The writer of one object.

    Args:
        spool: Holds the bytes.
        publish: Called with the spool, attributes, condition and idempotency key.
    """

    def __init__(self, spool: Spool, publish: Callable[[Spool, ObjectAttributes, Condition, str], ObjectInfo]) -> None:
        super().__init__(spool)
        self._publish = publish

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        return self._publish(self._spool, attributes, condition, idempotency_key)


class RemotePartWriter(StagedWriter, PartWriter):
    """The writer of one part.

    Args:
        spool: Holds the bytes.
        publish: Called with the spool.
    """

    def __init__(self, spool: Spool, publish: Callable[[Spool], PartInfo]) -> None:
        super().__init__(spool)
        self._publish = publish

    def commit(self, *, idempotency_key: str = "") -> PartInfo:  # noqa: ARG002 - a part put twice is one part
        return self._publish(self._spool)
