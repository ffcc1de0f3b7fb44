"""Whether two pickles are the same but for the names that cloudpickle makes up for classes which travel by value.

Such a class gets a random name each time it is defined, by which it is recognized within a process. Two pickles of one
script, in which nothing else is random, differ in it alone. No pickle is opened for this.
"""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = b"_make_skeleton_"
"""How the functions of cloudpickle begin that make classes and enumerations; without it nothing is looked for."""
_NAME: Final = re.compile(rb"(?<=\x8c\x20)[0-9a-f]{32}(?=\x94Nt\x94R)")
"""A made-up name: the last argument but one of a call of such a function, behind which stands None."""


def is_same_but_for_class_names(before: bytes, after: bytes) -> bool:
    """Return whether two pickles differ in made-up names of classes alone, each of which stands for one other name."""
    if len(before) != len(after) or _MARK not in before:
        return False
    names = dict(zip(_NAME.findall(after), _NAME.findall(before), strict=False))
    is_one_to_one = len(set(names.values())) == len(names)
    return is_one_to_one and _NAME.sub(lambda found: names.get(found[0], found[0]), after) == before
