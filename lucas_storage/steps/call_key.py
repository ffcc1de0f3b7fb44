"""Call keys: a digest over a function, its version and its arguments, the same in every process.

References count by digest and format, not by bucket and key; inline values, by a canonical text. A value that only a
pickle holds has no key, since equal ones pickle differently.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from actorc.storage.client import StorageClient
from lucas_storage.artifacts.body import EncodedBody, FileBody
from lucas_storage.engine import adapter
from lucas_storage.errors import CacheKeyError
from lucas_storage.formats import format_for
from lucas_storage.formats.base import type_name
from lucas_storage.limits import INT_BITS
from lucas_storage.refs import ArtifactRef, is_tagged
from lucas_storage.values.annotation import Shipped as Plan

_NAMED: Final = ("path", "ref")
"""Words of plans that show the file name in a reference to the function, which may then depend on it."""
_VERSION: Final = 1
"""Part of every key: a change of the canonical form needs a new number, so that no old result is found by it."""


def call_key(
    identity: tuple[str, str], function: Callable[..., Any], given: Mapping[str, Any], plans: Mapping[str, Plan]
) -> str:
    """Return the key of one call, 64 hexadecimal digits.

    Args:
        identity: The function and its version, from `lucas_storage.steps.function_id`.
        function: The function itself, for its defaults and its closure.
        given: Arguments as they travelled, without those that are injected.
        plans: Plan of each parameter.

    Raises:
        CacheKeyError: A parameter, a default or a variable around the function has no canonical form; names it.
    """
    name, version = identity
    values = {**_defaults(function, given, plans), **given}
    # A version given by the user stands for everything that the function depends on, its closure included.
    around = {} if version.startswith("version:") else _closure(function)
    try:
        text = _dumps(
            {
                "key": _VERSION,
                "fn": name,
                "v": version,
                "params": {param: _of_param(param, value, plans.get(param)) for param, value in values.items()},
                "around": {variable: _of_variable(variable, value) for variable, value in around.items()},
            }
        )
    except CacheKeyError as error:
        error.function = function.__name__
        raise
    return hashlib.sha256(text.encode()).hexdigest()


def _of_param(param: str, value: Any, plan: Plan | None) -> Any:
    try:
        return _canonical(value, named=plan is not None and _shows_names(plan))
    except _NotCanonicalError as error:
        message = f"no cached result can be kept, since the value has no canonical form; {error}. Pass a reference"
        raise CacheKeyError(f"{message}, or data that JSON can hold", param=param) from error


def _of_variable(variable: str, value: Any) -> Any:
    try:
        return _canonical(value, named=True)
    except _NotCanonicalError as error:
        raise CacheKeyError(
            f"no cached result can be kept, since the function uses the variable {variable!r} of the function around "
            f"it; {error}. Pass it as a parameter, or give the function version="
        ) from error


class _NotCanonicalError(Exception):
    """A value has no canonical form; the text is the reason."""


def _canonical(value: Any, *, named: bool) -> Any:
    """Return JSON data that is equal for equal values, and for them alone.

    Containers are lists that begin with their kind, so that no value of a user has the form of another kind.
    """
    try:
        return _canonical_form(value, named=named)
    except RecursionError as error:
        raise _NotCanonicalError("it contains itself, or is nested too deeply") from error


def _canonical_form(value: Any, *, named: bool) -> Any:
    kind = type(value)
    if kind is int:
        return value if value.bit_length() <= INT_BITS else ["int", f"{value:x}"]
    if value is None or kind in (bool, str, float):
        return value
    if kind is ArtifactRef or is_tagged(value):
        return _of_ref(ArtifactRef.parse(value), named=named)
    return _of_container(value, named=named) or _of_leaf(value, named=named)


def _of_container(value: Any, *, named: bool) -> list[Any] | None:
    kind = type(value)
    if kind in (list, tuple):
        return [kind.__name__, *(_canonical_form(item, named=named) for item in value)]
    if kind in (set, frozenset):
        # Sorted by text: the order of a set depends on the hash seed of the process.
        return [kind.__name__, *sorted((_canonical_form(item, named=named) for item in value), key=_dumps)]
    if kind is dict:
        pairs = ([_canonical_form(key, named=named), _canonical_form(item, named=named)] for key, item in value.items())
        return ["dict", *sorted(pairs, key=_dumps)]
    # By the name of the class as well: two classes with equal fields are different values.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return ["dataclass", type_name(value), _canonical_form(fields, named=named)]
    return None


def _of_ref(ref: ArtifactRef, *, named: bool) -> Any:
    if ref.digest is None:
        raise _NotCanonicalError("it is a reference that pins no digest; store the value again for one that does")
    return ["artifact", ref.digest, ref.format, *([ref.filename] if named and ref.filename else [])]


def _of_leaf(value: Any, *, named: bool) -> Any:
    """Return the form of the reference to a value, so that a call has one key whether it travelled inline or not."""
    if isinstance(value, Path):
        return ["artifact", _file_digest(value), "bytes@1", *([value.name] if named else [])]
    # Reading it for the key would leave nothing for the function.
    if isinstance(value, Iterator) or hasattr(value, "read") or adapter.is_lambda(value):
        raise _NotCanonicalError(f"a {type_name(value)} can be read only once")
    fmt = format_for(value)
    if not fmt.safe:
        raise _NotCanonicalError(f"a {type_name(value)} can only be pickled, and equal ones pickle differently")
    return ["artifact", EncodedBody(fmt.encode(value)).digest, fmt.id]


def _file_digest(path: Path) -> str:
    try:
        return FileBody(path).digest
    except OSError as error:
        raise _NotCanonicalError(f"the path {path.name!r} is no file that can be read") from error


def _shows_names(plan: Plan) -> bool:
    return plan in _NAMED if isinstance(plan, str) else any(map(_shows_names, filter(_is_plan, plan[1:])))


def _is_plan(item: object) -> bool:
    return isinstance(item, (str, tuple)) and bool(item)


def _defaults(function: Callable[..., Any], given: Mapping[str, Any], plans: Mapping[str, Plan]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    left_out = (item for item in parameters if item.default is not item.empty and item.name not in given)
    return {item.name: item.default for item in left_out if item.name in plans}


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables of enclosing functions that this one uses, if they hold data.

    Functions, classes, modules and storage clients are left out.
    """
    # A decorator in between has variables of its own, which are not data of the function.
    function = inspect.unwrap(function)
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # bound only later
            continue
        if not callable(value) and not isinstance(value, (ModuleType, StorageClient)):
            found[name] = value
    return found


def _dumps(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
