"""Encodes values as pickles, and decodes pickles and JSON."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from typing import Any, Final

from lucas_storage.shipping import source_lines

JSON: Final = 1
PYTHON: Final = 3
"""The platform's numbers of encodings."""

_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})
"""Types that cloudpickle pickles as pickle does, but whose import and setup takes many times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """An encoded value."""

    data: bytes
    language: int = PYTHON


def dumps(value: Any) -> bytes:
    """Pickle a value; functions and classes of the main module by value, with their source.

    Raises:
        Exception: It cannot be pickled.
    """
    if type(value) in _SCALARS:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    # only a process that sends something needs cloudpickle
    from lucas_storage.shipping import function_pickler  # noqa: PLC0415

    return function_pickler.dumps(value)


def decoded(encoded: Encoded) -> Any:
    """Return the value; tracebacks show the source of its functions from then on.

    Raises:
        ValueError: It has an unsupported language.
        Exception: Unpickling failed with it.
    """
    if encoded.language == JSON:
        return json.loads(encoded.data)
    if encoded.language == PYTHON:
        source_lines.show(encoded.data)
        return pickle.loads(encoded.data)  # noqa: S301  # the platform runs our code and sends what it returned
    raise ValueError(f"a value in the platform's language {encoded.language} is not read here")
