"""Whether data holds so many objects that one pickle of all is better than one of each.

An object apart costs a call to the store, and so does each one that is read: a thousand small ones took two seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lucas_storage.containers import BUILT_IN, children
from lucas_storage.engine import adapter
from lucas_storage.formats import format_for
from lucas_storage.formats.json_data.plain_data import SCALARS
from lucas_storage.refs import ArtifactRef, is_tagged
from lucas_storage.values.wire_form import is_held, is_inline

from .open_files import is_open_file
from .store_value import kind_of_source

_FEWEST: Final = 64
_REFERENCE: Final = 256
"""Bytes of a signed reference, about."""


def has_many_objects(value: Any, inline_max: int) -> bool:
    """Return whether data holds more objects than references have room in the message, and a pickle holds all of it.

    Args:
        value: What leaves a function.
        inline_max: Bytes of data that travel with the message.
    """
    if type(value) not in BUILT_IN:
        return False
    most = max(_FEWEST, inline_max // _REFERENCE)
    leaves: dict[type, list[Any]] = {}
    # References are loaded where data is; in a pickle they would stay references.
    if not _collected(value, leaves) or sum(map(len, leaves.values())) <= most or not is_held(value):
        return False
    apart = [[item for item in found if not is_inline(item)] for found in leaves.values()]
    ones = [(found[0], len(found)) for found in apart if found]
    if any(_is_never_pickled(one) for one, _ in ones):
        return False
    # By one of each class: a table is looked at as a whole to know.
    return sum(count for one, count in ones if not isinstance(one, Path) and not format_for(one).safe) > most


def _collected(value: Any, leaves: dict[type, list[Any]]) -> bool:
    """Collect what containers hold by class, but for plain scalars; return False, at some point, for a reference."""
    seen, waiting = set[int](), [value]
    while waiting:
        container = waiting.pop()
        # A container that stands in many places is looked at once, and one in itself is told later.
        if id(container) in seen:
            continue
        seen.add(id(container))
        items = children(container)
        kinds = set(map(type, items))
        if ArtifactRef in kinds or is_tagged(container):
            return False
        for kind in kinds - SCALARS:
            found = [item for item in items if type(item) is kind]
            if kind in BUILT_IN:
                waiting += filter(is_held, found)
                found = [item for item in found if not is_held(item)]
            leaves.setdefault(kind, []).extend(found)
    return True


def _is_never_pickled(value: Any) -> bool:
    return is_open_file(value) or kind_of_source(value) == "stream" or adapter.is_lambda(value)
