"""Data on its way out: as engines carry it, within its reference if it is small, or as one artifact."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, Final

from lucas_storage.containers import BUILT_IN
from lucas_storage.formats import (
    TAGGED_ALONE,
    encode_each,
    encode_exact,
    format_by_id,
    format_of_text,
    is_registered,
    may_hold_references,
)
from lucas_storage.formats.base import Encoded, Format, is_loaded
from lucas_storage.formats.json_data.plain_data import SCALARS, texts_are_exact
from lucas_storage.formats.json_data.scalar_texts import quoted
from lucas_storage.limits import JSON_DEPTH
from lucas_storage.refs import TAG, ArtifactRef, inline_json, inline_json_each, inline_ref
from lucas_storage.values import recent_data, wire_form
from lucas_storage.values.own_copy import LONGER, small_copy

from . import inner_artifacts
from .policy import Policies, Policy, is_inline, most_inline
from .store_value import store_encoded

_TEXT: Final = frozenset({str})
_NEWEST: Final = "json@2"
_BYTES: Final = "bytes@1"
_NUMBERS: Final = frozenset({int, float})


def travelling(skeleton: Any, policy: Policies) -> Any:
    """Return a skeleton as it travels: plain data as it is, if it is small, with tagged dicts for references."""
    if type(skeleton) is ArtifactRef:
        return skeleton.to_json()
    found = by_fields(skeleton, policy, may_refer=True)
    return sent(skeleton, *wire_form.encoded(skeleton), policy) if found is None else found


def sent(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policies) -> Any:
    """Return a skeleton that is encoded already as `travelling` does."""
    size, most = encoded.size, policy.inline_max
    # What needs the newest version has something that engines cannot carry.
    if fmt.id == _NEWEST and size <= most_inline(most) and type(skeleton) is not dict:
        return _kept_json(skeleton, fmt, encoded, policy)
    if size > most:
        return _kept_apart(skeleton, fmt, encoded, policy()).to_json()
    if wire_form.is_plain(fmt, encoded):
        return wire_form.own(skeleton)
    # What engines cannot carry stands in a reference. The values of a dict have one each, so that plain code can still
    # look at the others by their keys.
    if type(skeleton) is dict and set(map(type, skeleton)) == _TEXT:
        return {name: _element(value, policy) for name, value in skeleton.items()}
    return _kept_json(skeleton, fmt, encoded, policy)


def by_fields(skeleton: Any, policy: Policies, *, may_refer: bool, may_be_exact: bool = True) -> Any | None:
    """Return a dict by names as `sent` does, its values encoded once, for the whole as for each alone.

    None for any other value, if one of its values is not held, and, unless it `may_refer`, if a reference may be in it.
    """
    if type(skeleton) is not dict or not _is_record(skeleton):
        return None
    exact = encode_exact(skeleton) if may_be_exact else None
    if exact is not None:
        return sent(skeleton, *exact, policy) if may_refer or not may_hold_references(exact[1]) else None
    texts = encode_each(skeleton.values(), JSON_DEPTH - 1)
    if texts is None:
        return None
    is_long = _is_long(skeleton, texts, policy.inline_max)
    if not may_refer and (TAG in skeleton or _any_may_refer(texts, is_long=is_long)):
        return None
    if is_long:
        whole = _joined(skeleton, texts)
        if len(whole) > policy.inline_max:
            return _kept_apart(skeleton, format_by_id(format_of_text(whole)), Encoded((whole,)), policy()).to_json()
    return dict(zip(skeleton, _fields(skeleton.values(), texts, policy), strict=True))


def _is_record(data: dict[Any, Any]) -> bool:
    """Return whether a dict is an object of JSON, and not one that looks like a tag."""
    if set(map(type, data)) != _TEXT or not texts_are_exact(data):
        return False
    return len(data) > 1 or not next(iter(data)).startswith("$")


def _is_long(record: dict[str, Any], texts: list[bytes], most: int) -> bool:
    """Return whether a record may be longer than `most`, for which its names need no text."""
    return LONGER * sum(map(len, record)) + sum(map(len, texts)) + 4 * len(texts) + 2 > most


def _any_may_refer(texts: list[bytes], *, is_long: bool) -> bool:
    # Short ones are looked at together, for which they are copied.
    return any(map(may_hold_references, texts)) if is_long else may_hold_references(b",".join(texts))


def _joined(record: dict[str, Any], texts: list[bytes]) -> bytes:
    return b"{%s}" % b",".join(
        b"%s:%s" % (quoted(name).encode(), text) for name, text in zip(record, texts, strict=True)
    )


def _fields(values: Collection[Any], texts: list[bytes], policy: Policies) -> list[Any]:
    most = most_inline(policy.inline_max)
    kinds = set(map(type, values))
    if len(kinds) == 1 and max(map(len, texts)) <= most and _are_newest(next(iter(kinds)), texts):
        return list(inline_json_each(_NEWEST, texts))
    return [_field(value, text, most, policy) for value, text in zip(values, texts, strict=True)]


def _are_newest(kind: type, texts: list[bytes]) -> bool:
    """Return whether all of some values of one type need the newest version, and no reference is in them."""
    if kind not in BUILT_IN:
        return _is_alone(kind)
    return set(map(format_of_text, texts)) == {_NEWEST} and not may_hold_references(b",".join(texts))


def _field(value: Any, text: bytes, most: int, policy: Policies) -> Any:
    """Return a value of a record as `_element` does, by its text as JSON data, of which `most` bytes stay with it."""
    kind = type(value)
    if kind in SCALARS and not text.startswith(b"{"):
        return value
    if kind is bytes and len(value) <= most and not is_registered(bytes):
        return inline_json(_BYTES, value)
    if _is_alone(kind):
        return _kept_text(value, _NEWEST, text, most, policy)
    if kind in BUILT_IN:
        fmt = format_of_text(text)
        # What needs the newest version has something that engines cannot carry.
        is_carried = fmt != _NEWEST and wire_form.is_carried(text)
        return wire_form.own(value) if is_carried else _kept_text(value, fmt, text, most, policy)
    if (kind in _NUMBERS or is_loaded(value, "numpy")) and not is_registered(kind):
        return _kept_text(value, format_of_text(text), text, most, policy)
    return _element(value, policy)


def _is_alone(kind: type) -> bool:
    """Return whether a type is one of scalars that JSON lacks and that no format of their own holds."""
    return kind in TAGGED_ALONE and not is_registered(kind)


def _kept_text(value: Any, fmt: str, text: bytes, most: int, policy: Policies) -> dict[str, str]:
    if len(text) <= most and not may_hold_references(text):
        return inline_json(fmt, text)
    return _kept(value, format_by_id(fmt), Encoded((text,)), policy).to_json()


def _kept_apart(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policy) -> ArtifactRef:
    store = partial(store_encoded, encoded, fmt, policy)
    # Data without tags alone, of which a copy is what reading gives.
    if wire_form.is_untagged(fmt, encoded):
        return recent_data.kept_after(store, skeleton, bytes(encoded))
    ref = store()
    return inner_artifacts.note(ref, inner_artifacts.references_in(skeleton, encoded))


def _element(value: Any, policy: Policies) -> Any:
    if type(value) is ArtifactRef:
        return value.to_json()
    own = small_copy(value, policy.inline_max)
    if own is not None:
        return own
    fmt, encoded = wire_form.encoded(value)
    return wire_form.tagged(value) if wire_form.is_plain(fmt, encoded) else _kept_json(value, fmt, encoded, policy)


def as_artifact(skeleton: Any, policy: Policies, requested: str | None = None) -> ArtifactRef:
    """Return the reference of a skeleton as a whole, in its format or the one that is requested."""
    if type(skeleton) is ArtifactRef:
        return skeleton
    return _kept(skeleton, *wire_form.encoded(skeleton, requested), policy)


def _kept_json(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policies) -> dict[str, str]:
    # By its text alone, at a quarter of the cost, unless it may hold a reference, which is noted.
    if is_inline(encoded.size, policy.inline_max) and not may_hold_references(encoded):
        return inline_json(fmt.id, bytes(encoded))
    return _kept(skeleton, fmt, encoded, policy).to_json()


def _kept(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policies) -> ArtifactRef:
    # By the limit alone: the whole policy is all settings.
    is_small = is_inline(encoded.size, policy.inline_max)
    ref = inline_ref(fmt.id, bytes(encoded)) if is_small else store_encoded(encoded, fmt, policy())
    return inner_artifacts.note(ref, inner_artifacts.references_in(skeleton, encoded))
