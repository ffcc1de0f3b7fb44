"""Records as text: how a record is encoded, what a stored one says, and which references it holds.

A record is ``json@1``, so references in it are references, and any other data comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lucas_storage import containers
from lucas_storage.errors import DecodeError, InvalidRefError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import MemorySource
from lucas_storage.refs import TAG, ArtifactRef, is_tagged
from lucas_storage.values import wire_form

_FORMAT: Final = "json@1"
_SCALARS: Final = frozenset({str, int, float, bool, type(None), bytes})


def content_type() -> str:
    """Return the MIME type of a record."""
    return format_by_id(_FORMAT).content_type


def decode(text: bytes) -> dict[str, Any] | None:
    """Return the content of a record, or None if the text is no record."""
    try:
        content = format_by_id(_FORMAT).decode(MemorySource(text), None)
    except (DecodeError, InvalidRefError):
        return None
    return content if isinstance(content, dict) else None


def encode(content: dict[str, Any]) -> bytes:
    """Return a record as it is stored; `decode` returns an equal one, in which references name no run."""
    return bytes(format_by_id(_FORMAT).encode(content))


def _tagged(item: Any) -> dict[str, str]:
    if type(item) is not ArtifactRef:
        raise TypeError(f"a record does not hold a {type(item).__name__}; it holds facts and references")
    return item.to_json()


_FACTS: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_tagged)
_ANY_TAG: Final = '{"$'
_REFERENCE: Final = f'{{"{TAG}":"lucas:'


def encode_facts(facts: dict[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """Return a record as `encode` does, at a fraction of its cost; references go on to name their run.

    Args:
        facts: Dicts, lists, texts, numbers and `ArtifactRef`; data of users is none.
        parts: Further fields, of any data, encoded before.
    """
    text = _FACTS.encode(facts)
    # A dict whose keys a stranger chose may look like a tag; the format writes it as what it is.
    data = text.encode() if text.count(_ANY_TAG) == text.count(_REFERENCE) else encode(facts)
    more = b"".join(b',"%b":%b' % (name.encode(), part) for name, part in parts.items())
    return data[:-1] + more + b"}" if len(data) > len(b"{}") else b"{" + more[1:] + b"}"


def encode_travelling(value: Any) -> bytes:
    """Return a value as it travels, encoded as a field of a record; references in it name no run."""
    if not is_tagged(value):
        return bytes(format_by_id(_FORMAT).encode(wire_form.with_refs(value)))
    uri, ref = value[TAG], ArtifactRef.parse(value)
    # As it is: no URI has a character that JSON would escape.
    return b'{"%b":"%b"}' % (TAG.encode(), (replace(ref, run=None).uri if ref.run else uri).encode())


def refs_in(value: Any) -> Iterator[ArtifactRef]:
    """Yield every reference in the content of a record."""
    # Collections read every record there is, so what most of them hold is not taken apart like any container.
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is ArtifactRef:
            yield item
        elif kind is list:
            pending += item
        elif kind is dict and set(map(type, item)) <= {str}:
            pending += item.values()
        elif kind not in _SCALARS:
            pending += containers.children(item)
