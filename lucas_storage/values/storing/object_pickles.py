"""Objects as signed pickles in which files, arrays and tables are references, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from lucas_storage.class_names import package_of
from lucas_storage.containers import BUILT_IN
from lucas_storage.errors import MissingDependencyError, NoFormatError
from lucas_storage.formats import format_by_id, format_for, is_registered
from lucas_storage.formats.pickles import NAME, Pickled, pickled_apart
from lucas_storage.refs import ArtifactRef

from .policy import Policy
from .store_value import SmallLeaves, check_pickle, store_encoded

_HOLDING_NOTHING: Final = BUILT_IN | {
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    type(None),
    type,
    FunctionType,
    BuiltinFunctionType,
    ModuleType,
}
"""Types that are never leaves, and are met at every step of pickling."""
_MACHINERY: Final = frozenset({"builtins", "types", "functools", "dataclasses", "abc", "enum", "typing"})
"""Packages of which no object is a leaf."""
_WITHIN: Final = ("json", "text", "bytes")
"""Formats whose values a pickle holds itself."""


def pickled(value: Any, policy: Policy) -> Pickled:
    """Return an object as a pickle, and its leaves, which are to be stored apart.

    Raises:
        UnsafeFormatError: Pickles are denied, or cannot be signed.
        NoFormatError: The object, or one within it, cannot be pickled.
    """
    # Before anything is written: a large value is not pickled first and refused afterwards.
    check_pickle(value, policy)
    found = pickled_apart(value, _is_leaf)
    for leaf in found.leaves:
        if isinstance(leaf, Path) and not leaf.exists():
            raise NoFormatError(
                f"a value of type {found.type} holds the path {str(leaf)!r}, where no file is; make it a PurePath or a "
                "str if only the name is meant"
            )
    return found


def stored(
    found: Pickled, refs: Sequence[ArtifactRef], policy: Policy, small: SmallLeaves, name: str | None = None
) -> ArtifactRef | Callable[[], ArtifactRef]:
    """Store a pickle with the references of its leaves, and return its reference, which is signed.

    A small one without a name waits for the others of the result, as `SmallLeaves.leaf` says.
    """
    fmt_id, encoded = found.encoded(refs)
    fmt = format_by_id(fmt_id)
    return small.kept(encoded, policy, fmt) if name is None else store_encoded(encoded, fmt, policy, name)


def is_asked(value: Any, requested: str | None) -> bool:
    """Return whether a value is to be pickled, by the format that is requested, or because no other one holds it."""
    if requested is not None:
        return requested.partition("@")[0] == NAME
    return not format_for(value).safe


def _is_leaf(value: Any) -> bool:
    kind = type(value)
    # A class or a function of the user's own is made of dozens of objects of these packages.
    if kind in _HOLDING_NOTHING or (package_of(kind) in _MACHINERY and not is_registered(kind)):
        return False
    # References, too: the collection of garbage sees those in the header alone.
    if isinstance(value, (Path, ArtifactRef)):
        return True
    try:
        fmt = format_for(value)
    except MissingDependencyError:  # pickled by its own package
        return False
    return fmt.safe and fmt.id.partition("@")[0] not in _WITHIN
