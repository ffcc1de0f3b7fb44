"""Materialization and offloading: references in arguments become values, large values in results become references."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from lucas_storage.engine import adapter
from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.composite import STREAM
from lucas_storage.limits import INT_BITS
from lucas_storage.refs import ArtifactRef, inline_ref, is_tagged

from .annotation import Shipped as Plan
from .annotation import shipped
from .annotation_reader import read
from .dataclass_fields import Classes, rebuilt, taken_apart
from .load_value import CHUNKS, check, is_ready, items, lift, load, mismatch
from .store_value import NO_OPTIONS, Policy, artifact, is_stream, policy_of, store_encoded, streamed
from .walk import ANY, CONTAINERS, Slot, Walk

Name = TypeVar("Name", bound="str | None")

Policies: TypeAlias = Callable[[], Policy]
"""Called only when a value must be stored: resolving settings costs more than a call that stores nothing."""

_SCALARS: Final = frozenset({bool, int, float, str, type(None)})
_TEXT: Final = frozenset({str})
_EXACT: Final = frozenset({bool, str, type(None)})
_NUMBERS: Final = frozenset({bool, int, float, type(None)})
_BYTES: Final = ("iterator", "bytes")
_NOTHING: Final = inline_ref("json@1", b"null").to_json()
_TOO_DEEP: Final = "a value refers to itself, or is nested too deeply to be passed on; flatten it"


def resolve(
    given: Mapping[str, Any],
    plans: Mapping[str, Plan],
    function: str,
    policy: Policies,
    classes: Classes = MappingProxyType({}),
) -> dict[str, Any]:
    """Return parameters with every reference in them replaced by its value, as their annotations ask.

    Args:
        given: Values by parameter name, references in them at any depth.
        plans: Plan of each; a parameter without one is loaded in its stored format.
        function: Named in errors.
        policy: Where to store a value of which the function wants a reference.
        classes: The dataclasses that plans name.

    Raises:
        ArtifactError: A reference cannot be resolved; carries function and parameter.
        TypeError: A value does not convert to the annotation of its parameter, or is a placeholder.
    """
    return _materialize(given, plans, _Materializer(function, policy, classes))


def value_of(value: Any, annotation: Any = None) -> Any:
    """Return `value` with every reference in it replaced, outside any function.

    Args:
        value: A reference, or data that holds some.
        annotation: Type to convert to; None loads each reference in its stored format.

    Raises:
        ArtifactError: A reference cannot be resolved.
    """
    classes: dict[str, type] = {}
    plan = ANY if annotation is None else shipped(read(annotation, classes=classes))
    walk = _Materializer(None, partial(policy_of, NO_OPTIONS), classes)
    return _materialize({None: value}, {None: plan}, walk)[None]


def _materialize(given: Mapping[Name, Any], plans: Mapping[Name, Plan], walk: _Materializer) -> dict[Name, Any]:
    values = dict(given)  # the caller's dict may be passed to other steps, which want its references
    try:
        for name in values:
            walk.visit(values, name, plans.get(name, ANY), name)
        walk.run()
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    return values


def offload(value: Any, plan: Plan, policy: Policies, function: str | None = None) -> Any:
    """Return `value` as it travels: JSON data, with tagged references for everything else.

    Leaves that are no JSON data become artifacts of their own. The remaining JSON data becomes one artifact if its
    encoding exceeds the `inline_max` of the policy.

    Raises:
        ArtifactError: A leaf cannot be stored.
        ValueError: It contains itself.
        TypeError: It holds a placeholder of a workflow.
    """
    # Most results are small: a number needs no walk, and no settings.
    if type(value) in _NUMBERS and _is_number(value):
        return value
    box = [value]
    walk = _Offloader(function, policy)
    try:
        walk.visit(box, 0, plan, None)
        walk.run()
        return box[0] if is_tagged(box[0]) else _inline_or_artifact(box[0], policy)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def offload_each(given: Any, policy: Policies) -> Any:
    """Return parameters as they travel, each on its own; a value that is no dict is one parameter."""
    if type(given) is not dict:
        return offload(given, ANY, policy)
    return {name: offload(value, ANY, policy) for name, value in given.items()}


def result(value: Any, plan: Plan, policy: Policies, function: str) -> Any:
    """Return the result of a function as it travels; engines take None for "not ready", so it becomes a reference."""
    return dict(_NOTHING) if value is None else offload(value, plan, policy, function)


def store(value: Any, requested: str | None, target: str) -> ArtifactRef:
    """Store a value whole, whatever its size, and return its reference; leaves become artifacts of their own."""
    policy = partial(Policy, store=target)
    if requested is not None and type(value) is not ArtifactRef:
        return _Offloader(None, policy).store_with_options(value, ANY, requested, None)
    return _stored(value, policy)


def _stored(value: Any, policy: Policies) -> ArtifactRef:
    if type(value) is ArtifactRef or is_tagged(value):
        return ArtifactRef.parse(value)
    out = offload(value, ANY, policy)
    return ArtifactRef.parse(out) if is_tagged(out) else _as_artifact(out, policy)


class _Materializer(Walk):
    """Replaces references by values."""

    plain = _SCALARS

    def __init__(self, function: str | None, policy: Policies, classes: Classes) -> None:
        super().__init__(function)
        self._policy = policy
        self._classes = classes

    def visit(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        value = box[index]
        kind = type(value)
        # By exact type: a subclass of dict is the user's own, and never a reference.
        if kind is ArtifactRef or (kind is dict and is_tagged(value)):
            self._reference(box, index, plan, param)
            return
        if plan[0] == "optional":
            if value is None:
                return
            plan = plan[1]
        if plan == "ref":
            # The function wants a reference, and the engine passed a value: it is stored for it.
            self.wait(Slot(box, index, plan, param, partial(_stored, value, self._policy), does_io=True))
        elif kind not in _SCALARS and kind not in CONTAINERS and adapter.is_lambda(value):
            # A Lambda has every attribute, so it would pass later checks and be stored as a value.
            raise TypeError(_placeholder(f"parameter {param!r} of {self._function!r}"))
        elif type(plan) is str and plan != ANY:
            if not is_ready(value, plan):
                self.wait(Slot(box, index, plan, param, partial(self._lifted, value, plan, param), does_io=False))
        else:
            self._data(box, index, plan, param)

    def _reference(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        ref = self.attributed(param, partial(ArtifactRef.parse, box[index]))
        word = _word(plan)
        items_plan = _items_plan(plan)
        if ref.format == STREAM and items_plan is not None:
            self.wait(Slot(box, index, ANY, param, partial(self._items, ref, items_plan, param), does_io=True))
            return
        # The reference that `result` makes of None, which engines cannot carry: a parameter gets None itself.
        if word != "ref" and (ref.format, ref.inline) == ("json@1", b"null"):
            box[index] = None
            self.visit(box, index, plan, param)
            return
        if word == CHUNKS and ref.format == "json@1":  # a list of pieces
            word = ANY
        does_io = ref.inline is None and word != "ref"
        self.wait(Slot(box, index, plan, param, partial(load, ref, word), does_io))

    def _data(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        value = box[index]
        if plan[0] == "dataclass":
            self._dataclass(box, index, plan, param)
        elif type(value) in CONTAINERS:
            if plan != ANY or not _is_flat(value):
                self.descend(box, index, plan, param)
        elif plan == _BYTES and not is_ready(value, CHUNKS):
            self.wait(Slot(box, index, plan, param, partial(self._lifted, value, CHUNKS, param), does_io=False))

    def _dataclass(self, box: Any, index: Any, plan: Any, param: str | None) -> None:
        """Fill the fields of a dataclass instance, or of a dict that becomes one; other values stay as they are."""
        value, fields = box[index], plan[2]
        cls = self._classes.get(plan[1])
        try:
            apart = taken_apart(value, cls)
        except TypeError as error:
            raise TypeError(f"{self._subject(param)} {error}") from error
        if apart is not None:
            self.enter(box, index, apart, dict(fields), param, partial(rebuilt, value, cls))
        elif type(value) in CONTAINERS:
            self.descend(box, index, ANY, param)

    def _items(self, ref: ArtifactRef, plan: Plan, param: str | None) -> Iterator[Any]:
        """Return the items of a stream, loaded as they are asked for; raises at once if none can be read."""
        # Not a generator itself: `items` is called now, so that a missing stream fails before the function runs.
        return self._each(items(ref), plan, param)

    def _each(self, found: Iterator[Any], plan: Plan, param: str | None) -> Iterator[Any]:
        end = object()
        while (item := self.attributed(param, partial(next, found, end))) is not end:
            if type(item) is bytes and plan in (ANY, "bytes"):
                yield item
            else:
                yield _materialize(
                    {param: item}, {param: plan}, _Materializer(self._function, self._policy, self._classes)
                )[param]

    def filled(self, slot: Slot) -> None:
        value = slot.box[slot.index]
        word = _word(slot.plan)
        if word in (ANY, CHUNKS):
            if type(value) in CONTAINERS or type(value) is ArtifactRef or _is_dataclass(slot.plan):
                self.visit(slot.box, slot.index, slot.plan, slot.param)
        else:
            self._fit(value, word, slot.param, partial(check, value, word))

    def _lifted(self, value: Any, word: str, param: str | None) -> Any:
        return self._fit(value, word, param, partial(lift, value, word))

    def _fit(self, value: Any, word: str, param: str | None, job: Callable[[], Any]) -> Any:
        try:
            return job()
        except (TypeError, DecodeError, NoFormatError) as error:
            # Raised as TypeError that names the parameter: the user reads which annotation does not fit which value.
            raise TypeError(f"{self._subject(param)} {mismatch(value, word)}") from error

    def _subject(self, param: str | None) -> str:
        return f"parameter {param!r} of {self._function!r}" if param else "the value"


class _Offloader(Walk):
    """Replaces values that are no JSON data by references; references stay as they are."""

    plain = _EXACT

    def __init__(self, function: str | None, policy: Policies) -> None:
        super().__init__(function)
        self._policy = policy

    def visit(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        value = box[index]
        if plan[0] == "optional":
            plan = plan[1]
        kind = type(value)
        if is_stream(value):
            # At once and on this thread: a generator may rely on thread and context of its function. Only its parts
            # are sent by others.
            options = plan[1:] if plan[0] == "out" else (None, None, plan)
            box[index] = self.store_with_options(
                value, _items_plan(options[2]) or ANY, options[0], options[1]
            ).to_json()
        elif plan[0] == "out" and value is not None:
            self._leaf(box, index, partial(self.store_with_options, value, ANY, plan[1], plan[2]))
        elif kind is ArtifactRef:
            box[index] = value.to_json()
        elif kind is str or (kind in _NUMBERS and _is_number(value)):
            pass
        elif kind in (dict, list, tuple) and (kind is not dict or set(map(type, value)) <= _TEXT):
            if not is_tagged(value) and (plan != ANY or not _is_plain(value)):
                self.descend(box, index, plan if type(plan) is tuple and plan[0] != "iterator" else ANY, param)
        elif adapter.is_lambda(value):
            raise TypeError(_placeholder(f"the result of {self._function!r}"))
        else:
            self._leaf(box, index, partial(artifact, value, self._policy()))

    def filled(self, slot: Slot) -> None:
        """Do nothing: the reference is final."""

    def _leaf(self, box: Any, index: Any, job: Callable[[], ArtifactRef]) -> None:
        self.wait(Slot(box, index, ANY, None, lambda: job().to_json(), does_io=True))

    def store_with_options(self, value: Any, items_plan: Plan, requested: str | None, name: str | None) -> ArtifactRef:
        """Store a value with the options of an `Out`.

        Args:
            value: Any value.
            items_plan: Plan of the items of an iterator.
            requested: Format id or name; None lets the value decide.
            name: Name of the file if the value is later asked for as a path.
        """
        if is_stream(value):
            value = streamed(value, self._policy(), partial(self._line, items_plan), requested, name)
        elif requested is None and type(value) in CONTAINERS:
            value = with_refs(offload(value, ANY, self._policy, self._function))
        if type(value) is ArtifactRef:
            return value if name is None else replace(value, filename=name)
        return artifact(value, self._policy(), requested, name)

    def _line(self, plan: Plan, item: Any) -> bytes:
        """Return one item of a stream as JSON, its leaves stored apart."""
        box = [item]
        walk = _Offloader(self._function, self._policy)
        try:
            walk.visit(box, 0, plan, None)
            walk.run()
        except RecursionError as error:
            raise ValueError(_TOO_DEEP) from error
        return bytes(format_by_id("json@1").encode(with_refs(box[0])))


def _inline_or_artifact(value: Any, policy: Policies) -> Any:
    """Return JSON data as it is, or as one artifact if its encoding exceeds the `inline_max` of the policy."""
    if type(value) in _NUMBERS:
        return value
    # ASCII escapes make this an upper bound of the size, and it is far cheaper than the encoding itself.
    limit = policy().inline_max
    if len(json.dumps(value)) <= limit:
        return value
    fmt, encoded = _encoded(value)
    return value if encoded.size <= limit else store_encoded(encoded, fmt, policy()).to_json()


def _as_artifact(value: Any, policy: Policies) -> ArtifactRef:
    fmt, encoded = _encoded(value)
    return store_encoded(encoded, fmt, policy())


def _encoded(value: Any) -> tuple[Format, Encoded]:
    data = with_refs(value)
    fmt = format_for(data)
    return fmt, fmt.encode(data)


def with_refs(value: Any) -> Any:
    """Return data with its tagged dicts as `ArtifactRef`, by which a format tells them from the user's own dicts."""
    if type(value) is dict:
        if is_tagged(value):
            return ArtifactRef.parse(value)
        return {key: with_refs(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(with_refs, value))
    return value


def _is_number(value: Any) -> bool:
    """Return whether every JSON reader gives a number, bool or None back unchanged."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is not int or value.bit_length() <= INT_BITS


def _is_flat(value: Any) -> bool:
    return set(map(type, value.values() if type(value) is dict else value)) <= _SCALARS


def _is_plain(value: Any) -> bool:
    """Return whether a container holds only scalars that every JSON reader gives back unchanged."""
    items = value.values() if type(value) is dict else value
    kinds = set(map(type, items))
    return kinds <= _EXACT or (kinds <= _SCALARS and all(type(item) is str or _is_number(item) for item in items))


def _word(plan: Plan) -> str:
    if plan[0] == "optional":
        return _word(plan[1])
    if type(plan) is str:
        return plan
    return CHUNKS if plan == _BYTES else ANY


def _is_dataclass(plan: Plan) -> bool:
    return bool(plan[0] == "dataclass" or (plan[0] == "optional" and plan[1][0] == "dataclass"))


def _items_plan(plan: Plan) -> Plan | None:
    """Return the plan of each item if the plan is that of an iterator; None for any other plan."""
    if plan[0] == "optional":
        return _items_plan(plan[1])
    found: Plan | None = plan[1] if plan[0] == "iterator" else None
    return found


def _placeholder(where: str) -> str:
    return (
        f"{where} is a placeholder of the workflow and not a value; pass it to wf.call as a parameter of its own, "
        "and call functions through wf.call, not directly"
    )
