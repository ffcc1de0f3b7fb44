"""Attributes of objects that files do not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from actorc.storage.content_types import guess_content_type

if TYPE_CHECKING:
    from actorc.storage.models import ObjectHead

MTIME: Final = "mtime_ns"
"""Name in an object's metadata of the last change of the file, in nanoseconds since 1970, for 'sync'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Attributes of an object beside its bytes and the time of their last change."""

    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    """Aware."""

    @classmethod
    def of(cls, head: ObjectHead) -> Self:
        """Return those of an object."""
        metadata = {name: value for name, value in head["metadata"].items() if name != MTIME}
        return cls(content_type=head["content_type"], metadata=metadata, expires_at=head["expires_at"])

    def kept_by_file(self, name: str) -> bool:
        """Return whether a file of this name would get the same attributes when it is uploaded."""
        return not self.metadata and self.expires_at is None and self.content_type == guess_content_type(name)
