"""What an application's calls take and return, by id, each for as long as a call owns it."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import Value


@dataclass(slots=True)
class _Entry:
    value: Value
    owners: int


class Objects:
    """Values by id, with the number of those who own each; one without an owner is gone."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def own(self, value: Value) -> str:
        """Keep a value for one more owner; return its id."""
        entry = self._entries.setdefault(value.id, _Entry(value, 0))
        entry.value = value
        entry.owners += 1
        return value.id

    def get(self, object_id: str) -> Value | None:
        """Return a value, None if nobody owns it any more or ever did."""
        entry = self._entries.get(object_id)
        return entry.value if entry else None

    def release(self, object_id: str) -> None:
        """Have one owner less."""
        entry = self._entries[object_id]
        entry.owners -= 1
        if not entry.owners:
            del self._entries[object_id]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
