"""The bounds of a page of a listing, in bytes, and its jumps over common prefixes; shared by all engines."""

from __future__ import annotations

from dataclasses import dataclass

from actorc.storage.models import ListQuery

_AFTER_ALL_KEYS = b"\xff"  # greater than any key: no UTF-8 text has this byte


@dataclass(frozen=True, slots=True)
class Span:
    """The keys of a query: ``lower <= key < upper``, rolled up at `delimiter` behind `prefix`."""

    prefix: bytes
    delimiter: bytes
    lower: bytes
    upper: bytes

    @classmethod
    def of(cls, query: ListQuery) -> Span:
        """Return the keys that can still be on the page."""
        prefix, delimiter, after = query.prefix.encode(), query.delimiter.encode(), query.after.encode()
        lower = query.within.encode() or prefix
        upper = successor(lower) if lower else _AFTER_ALL_KEYS
        whole = cls(prefix, delimiter, lower, upper)
        if not after:
            return whole
        return cls(prefix, delimiter, max(lower, whole.next_after(after)), upper)

    def common_prefix(self, key: bytes) -> bytes | None:
        """Return the common prefix that `key` is rolled up into, or None if there is none."""
        if not self.delimiter or not key.startswith(self.prefix):
            return None
        found = key.find(self.delimiter, len(self.prefix))
        return None if found < 0 else key[: found + len(self.delimiter)]

    def next_after(self, key: bytes) -> bytes:
        """Return the least key whose name is greater than that of `key`."""
        rolled = self.common_prefix(key)
        return key + b"\x00" if rolled is None else successor(rolled)


def successor(prefix: bytes) -> bytes:
    """Return the least byte string greater than everything that begins with `prefix`, the bytes of UTF-8 text."""
    # no byte of UTF-8 text is FF, so the last one can be incremented
    return prefix[:-1] + bytes((prefix[-1] + 1,))
