"""Call keys: a digest over a function, its version and its arguments, the same in every process.

References count by digest and format, not by bucket and key; inline values, by a canonical form. A value that only a
pickle holds has no key, since equal ones pickle differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from actorc.signatures import signature_of
from lucas_storage.errors import CacheKeyError
from lucas_storage.values.annotations.annotation import PATH, REF, Annotation, within

from .canonical import Canonical, Form, NotCanonicalError, dumps
from .reached_code import is_code

_NAMED: Final = (PATH, REF)
"""Annotations that show the file name in a reference to the function, which may then depend on it."""
_VERSION: Final = 2
"""Part of every key: a change of the canonical form needs a new number, so that no old result is found by it."""


def call_key(
    identity: tuple[str, str],
    function: Callable[..., Any],
    given: Mapping[str, Any],
    annotations: Mapping[str, Annotation],
) -> str:
    """Return the key of one call, 64 hexadecimal digits.

    Args:
        identity: The function and its version, from `lucas_storage.steps.function_version`.
        function: The function itself, for its defaults.
        given: Arguments as they travelled, without those that are injected.
        annotations: Of each parameter.

    Raises:
        CacheKeyError: An argument or a default has no canonical form; names its parameter.
    """
    name, version = identity
    try:
        params = _params(function, given, annotations)
    except CacheKeyError as error:
        error.function = function.__name__
        raise
    text = dumps({"key": _VERSION, "fn": name, "v": version, "params": params})
    return hashlib.sha256(text.encode()).hexdigest()


def _params(
    function: Callable[..., Any], given: Mapping[str, Any], annotations: Mapping[str, Annotation]
) -> dict[str, Form]:
    left_out = _defaults(function, given, annotations)
    # A default that is a function or the like is part of the version.
    in_version = {param: ["default"] for param, value in left_out.items() if is_code(value)}
    values = {**left_out, **given}
    of_call = {name: _of_param(name, values[name], annotations.get(name)) for name in values.keys() - in_version.keys()}
    return {**of_call, **in_version}


def _of_param(param: str, value: Any, annotation: Annotation | None) -> Any:
    try:
        return Canonical(named=annotation is not None and _shows_names(annotation)).form(value)
    except NotCanonicalError as error:
        message = f"no cached result can be kept, since the value has no canonical form; {error}. Pass a reference"
        raise CacheKeyError(f"{message}, or data that JSON can hold", param=param) from error


def _shows_names(annotation: Annotation) -> bool:
    return annotation in _NAMED or any(map(_shows_names, within(annotation)))


def _defaults(
    function: Callable[..., Any], given: Mapping[str, Any], annotations: Mapping[str, Annotation]
) -> dict[str, Any]:
    if annotations.keys() <= given.keys():  # as most calls have it, and to ask for a signature takes some microseconds
        return {}
    parameters = signature_of(function).parameters.values()
    left_out = (item for item in parameters if item.default is not item.empty and item.name not in given)
    return {item.name: item.default for item in left_out if item.name in annotations}
