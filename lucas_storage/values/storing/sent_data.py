"""Data on its way out: as engines carry it, within its reference if it is small, or as one artifact."""

from __future__ import annotations

import marshal
from collections.abc import Collection
from functools import partial
from typing import Any, Final

from lucas_storage.formats import TAGGED_ALONE, encode_scalars, is_exact, is_registered, may_hold_references
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.json_data.plain_data import SCALARS, texts_are_exact
from lucas_storage.refs import TAG, ArtifactRef, inline_json, inline_json_each, inline_ref
from lucas_storage.values import recent_data, wire_form
from lucas_storage.values.own_copy import LONGER, small_copy

from . import inner_artifacts
from .policy import Policies, Policy, is_inline
from .store_value import store_encoded

_OTHERS: Final = SCALARS | {bytes}
"""Types of the other values of a record."""
_FEW: Final = 32
"""Values of a record; of more, the look at each by itself costs more than to encode the whole."""


def travelling(skeleton: Any, policy: Policies) -> Any:
    """Return a skeleton as it travels: plain data as it is, if it is small, with tagged dicts for references."""
    if type(skeleton) is ArtifactRef:
        return skeleton.to_json()
    return sent(skeleton, *wire_form.encoded(skeleton), policy)


def sent(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policies) -> Any:
    """Return a skeleton that is encoded already as `travelling` does."""
    if encoded.size > policy.inline_max:
        return _kept_apart(skeleton, fmt, encoded, policy()).to_json()
    if wire_form.is_plain(fmt, encoded):
        return wire_form.own(skeleton)
    # What engines cannot carry stands in a reference. The values of a dict have one each, so that plain code can still
    # look at the others by their keys.
    if type(skeleton) is dict and set(map(type, skeleton)) == {str}:
        return dict(zip(skeleton, _elements(skeleton.values(), policy), strict=True))
    return _kept_json(skeleton, fmt, encoded, policy)


def record(value: Any, policy: Policies) -> dict[str, Any] | None:
    """Return a small record, such as a row of a table, as `sent` does, without encoding it as a whole before.

    A record is a dict of scalars by texts, with at least one that JSON lacks, such as a date. None for any other value,
    and if it is not small.
    """
    if type(value) is not dict or len(value) > _FEW or TAG in value or set(map(type, value)) != {str}:
        return None
    kinds = set(map(type, value.values()))
    lacking = _lacking(kinds)
    if not lacking or not kinds <= lacking | _OTHERS or not texts_are_exact(value):
        return None
    others = [item for item in value.values() if type(item) not in lacking]
    found = encode_scalars([item for item in value.values() if type(item) in lacking])
    if found is None:
        return None
    # Measured by another encoding, which is quicker.
    size = len(marshal.dumps([*value, *others])) * LONGER + sum(map(len, found[1]))
    if not is_inline(size, policy.inline_max):
        return None
    return dict(zip(value, _with_tagged(value.values(), lacking, found, policy), strict=True))


def _kept_apart(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policy) -> ArtifactRef:
    store = partial(store_encoded, encoded, fmt, policy)
    # Data without tags alone, of which a copy is what reading gives.
    if wire_form.is_untagged(fmt, encoded):
        return recent_data.kept_after(store, skeleton, bytes(encoded))
    ref = store()
    return inner_artifacts.note(ref, inner_artifacts.references_in(skeleton, encoded))


def _elements(values: Collection[Any], policy: Policies) -> list[Any]:
    kinds = set(map(type, values))
    lacking = _lacking(kinds)
    # Those of the types that JSON lacks are encoded together.
    together = values if len(lacking) == len(kinds) else [value for value in values if type(value) in lacking]
    found = encode_scalars(together) if lacking else None
    if found is None or not is_inline(max(map(len, found[1])), policy.inline_max):
        return [_other_element(value, policy) for value in values]
    return _with_tagged(values, lacking, found, policy)


def _with_tagged(
    values: Collection[Any], lacking: set[type], found: tuple[Format, list[bytes]], policy: Policies
) -> list[Any]:
    """Return values as they travel; the texts of those of the types that JSON lacks are found already."""
    fmt, texts = found
    tagged = iter(inline_json_each(fmt.id, texts))
    return [next(tagged) if type(value) in lacking else _other_element(value, policy) for value in values]


def _lacking(kinds: set[type]) -> set[type]:
    """Return those of some types that JSON lacks, scalars that no format of their own holds."""
    return {kind for kind in kinds if kind in TAGGED_ALONE and not is_registered(kind)}


def _other_element(value: Any, policy: Policies) -> Any:
    return value if type(value) in SCALARS and is_exact(value) else _element(value, policy)


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
