"""Data on its way out: as engines carry it, within its reference if it is small, or as one artifact."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from lucas_storage.formats import encode_scalars, is_exact, is_registered, may_hold_references
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.json_data.plain_data import SCALARS, of_kind
from lucas_storage.refs import ArtifactRef, inline_json, inline_json_each, inline_ref
from lucas_storage.values import recent_data, wire_form
from lucas_storage.values.own_copy import small_copy

from . import inner_artifacts
from .policy import Policies, Policy, is_inline
from .store_value import store_encoded


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


def _kept_apart(skeleton: Any, fmt: Format, encoded: Encoded, policy: Policy) -> ArtifactRef:
    store = partial(store_encoded, encoded, fmt, policy)
    # Data without tags alone, of which a copy is what reading gives.
    if wire_form.is_untagged(fmt, encoded):
        return recent_data.kept_after(store, skeleton, bytes(encoded))
    ref = store()
    return inner_artifacts.note(ref, inner_artifacts.references_in(skeleton, encoded))


def _elements(values: Collection[Any], policy: Policies) -> list[Any]:
    kinds = set(map(type, values))
    each = {kind: iter(_elements_of_kind(of_kind(values, kinds, kind), kind, policy)) for kind in kinds}
    return [next(each[type(value)]) for value in values]


def _elements_of_kind(values: Collection[Any], kind: type, policy: Policies) -> Collection[Any]:
    if kind in SCALARS and all(map(is_exact, values)):
        return values
    # A column of a type that JSON lacks is encoded at once.
    found = None if is_registered(kind) else encode_scalars(values, kind)
    if found is None or not is_inline(max(map(len, found[1])), policy.inline_max):
        return [_element(value, policy) for value in values]
    fmt, texts = found
    return inline_json_each(fmt.id, texts)


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
