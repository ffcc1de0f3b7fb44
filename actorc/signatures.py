"""Signatures and annotations, also where these cannot be evaluated yet.

Python 3.14 evaluates annotations only when they are asked for, so that they may name what is defined later, or is
imported for type checkers alone. Where one of an object cannot be evaluated, all of it are text, as they are with
``from __future__ import annotations``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

if sys.version_info >= (3, 14):
    import annotationlib

    def signature_of(function: Callable[..., Any]) -> inspect.Signature:
        """Return what `inspect.signature` does, with text for annotations that cannot be evaluated."""
        try:
            return inspect.signature(function)
        except Exception:  # noqa: BLE001  # an annotation may be any code; what is no function fails below again
            return inspect.signature(function, annotation_format=annotationlib.Format.STRING)

    def annotations_of(thing: Any) -> dict[str, Any]:
        """Return the annotations of a function, class or module itself, as text if one cannot be evaluated."""
        try:
            return inspect.get_annotations(thing)
        except Exception:  # noqa: BLE001  # an annotation may be any code; what has none fails below again
            return annotationlib.get_annotations(thing, format=annotationlib.Format.STRING)

    def settle_annotations(function: Callable[..., Any]) -> None:
        """Have annotations that cannot be evaluated be text from now on, since picklers evaluate them."""
        found = annotations_of(function)
        try:
            _ = function.__annotations__
        except Exception:  # noqa: BLE001  # an annotation may be any code
            function.__annotations__ = found

else:

    def signature_of(function: Callable[..., Any]) -> inspect.Signature:
        """Return what `inspect.signature` does, with text for annotations that cannot be evaluated."""
        return inspect.signature(function)

    def annotations_of(thing: Any) -> dict[str, Any]:
        """Return the annotations of a function, class or module itself, as text if one cannot be evaluated."""
        return inspect.get_annotations(thing)

    def settle_annotations(function: Callable[..., Any]) -> None:
        """Have annotations that cannot be evaluated be text from now on, since picklers evaluate them."""
