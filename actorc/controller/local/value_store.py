"""Arguments and results of an application's calls, by id, each kept as long as a call owns it."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import Value


@dataclass(slots=True)
class _Entry:
    value: Value
    owners: int


class ValueStore:
    """Values by id with a count of owners; a value without owners is removed. For the event loop only."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def own(self, value: Value) -> str:
        """Add an owner to a value and store it; return its id."""
        entry = self._entries.setdefault(value.id, _Entry(value, 0))
        entry.value = value
        entry.owners += 1
        return value.id

    def get(self, object_id: str) -> Value | None:
        """Return a value, None if it has no owner."""
        entry = self._entries.get(object_id)
        return entry.value if entry else None

    def release(self, object_id: str) -> None:
        """Remove one owner of a value."""
        entry = self._entries[object_id]
        entry.owners -= 1
        if not entry.owners:
            del self._entries[object_id]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
