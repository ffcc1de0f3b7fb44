"""What leaves a function: values as they travel, references in place of all that is large or no JSON data.

A tree is collected over the value, in which leaves that need an artifact of their own are pending. What remains is data
with references in it, the skeleton, which is encoded once: small plain data travels as it is, other data as one
artifact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

from actorc.storage.rules import MAX_BATCH_OBJECT
from lucas_storage.containers import BUILT_IN, apart
from lucas_storage.engine import adapter
from lucas_storage.errors import ArtifactError, NoFormatError
from lucas_storage.formats import format_for
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.json_data.json_format import json_line
from lucas_storage.formats.json_data.plain_data import is_exact
from lucas_storage.refs import ArtifactRef, inline_ref, is_tagged
from lucas_storage.values import wire_form
from lucas_storage.values.annotations.annotation import (
    ANY,
    Annotation,
    DictOf,
    IteratorOf,
    ListOf,
    OrNone,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    has_options,
    of_child,
)
from lucas_storage.values.own_copy import INEXACT, judged_copy
from lucas_storage.values.parallel_resolution import Done, Node, Pending, branch, resolved

from . import inner_artifacts, object_pickles, sent_data
from .many_objects import has_many_objects
from .policy import Fixed, Policies, Policy
from .store_value import SmallLeaves, artifact, kind_of_source
from .streams import streamed

Made = TypeVar("Made")

_HOLDING: Final = ListOf | SetOf | IteratorOf | DictOf | TupleOf | TupleOfAnyLength
"""Annotations that ask for something in the children of a container."""
_NUMBERS: Final = frozenset({bool, int, float, type(None)})
_NOTHING: Final = inline_ref("json@1", b"null").to_json()


def offload(value: Any, annotation: Annotation, policy: Policies, function: str | None = None) -> Any:
    """Return `value` as it travels: JSON data, with tagged references for everything else.

    Leaves that are no data become artifacts of their own. The remaining data becomes one artifact if its encoding
    exceeds the `inline_max` of the policy. Nothing of what is returned is an object of the caller.

    Raises:
        ArtifactError: A leaf cannot be stored.
        ValueError: It contains itself.
        TypeError: It holds a placeholder of a workflow.
    """
    # Most results are small: a number needs no walk, and no settings.
    if type(value) in _NUMBERS and is_exact(value):
        return value
    if annotation is ANY or not has_options(annotation):
        # Most other results are data as a whole, and need no tree; those that are small as well, no encoding.
        own = judged_copy(value, policy.inline_max)
        may_be_exact = own is not INEXACT
        if own is None or not may_be_exact:
            own = sent_data.by_fields(value, policy, may_refer=False, may_be_exact=may_be_exact)
        if own is not None:
            return own
        found = wire_form.whole(value, may_be_exact=may_be_exact)
        if found is not None:
            return sent_data.sent(value, *found, policy)
    leaving = _Result(function, policy)
    together = leaving.together(value, annotation)
    if together is not None:
        return together.to_json()
    try:
        return sent_data.travelling(leaving.skeleton(value, annotation), policy)
    except wire_form.TooDeepError:
        return leaving.as_object(value, annotation).to_json()


def offload_each(given: Any, policy: Policies) -> Any:
    """Return parameters as they travel, each on its own; a value that is no dict is one parameter."""
    if type(given) is not dict:
        return offload(given, ANY, policy)
    return {name: offload(value, ANY, policy) for name, value in given.items()}


def result(value: Any, annotation: Annotation, policy: Policies, function: str) -> Any:
    """Return the result of a function as it travels; engines take None for "not ready", so it becomes a reference."""
    return dict(_NOTHING) if value is None else offload(value, annotation, policy, function)


def store(value: Any, requested: str | None, target: str) -> ArtifactRef:
    """Store a value whole, whatever its size, and return its reference; leaves become artifacts of their own."""
    policy = Fixed(Policy(store=target))
    if requested is None or type(value) is ArtifactRef:
        return stored(value, policy)
    return _Result(None, policy).stored_as(value, StoredAs(requested, None, ANY))


def stored(value: Any, policy: Policies) -> ArtifactRef:
    """Return the reference of a value that is stored whole, or within the reference if the policy says so."""
    leaving = _Result(None, policy)
    together = leaving.together(value, ANY)
    if together is not None:
        return together
    try:
        return sent_data.as_artifact(leaving.skeleton(value, ANY), policy)
    except wire_form.TooDeepError:
        return leaving.as_object(value, ANY)


@dataclass(frozen=True, slots=True)
class _Result:
    """One value that leaves a function: collects the tree of its leaves."""

    function: str | None
    policy: Policies
    small: SmallLeaves = field(default_factory=SmallLeaves)

    def skeleton(self, value: Any, annotation: Annotation) -> Any:
        """Return the value as data in which every leaf is an `ArtifactRef`."""
        try:
            return resolved(self.node(value, annotation))
        except RecursionError as error:
            raise ValueError(self._too_deep()) from error

    def node(self, value: Any, annotation: Annotation) -> Node:
        """Return the tree of a value, the options of its annotation followed."""
        if isinstance(annotation, OrNone):
            annotation = annotation.inner
        source = None if type(value) in BUILT_IN else kind_of_source(value)
        if source == "stream":
            # At once and on this thread: a generator may rely on thread and context of its function. Only its parts
            # are sent by others.
            options = annotation if isinstance(annotation, StoredAs) else StoredAs(None, None, annotation)
            return Done(self.stored_as(value, options))
        if isinstance(annotation, StoredAs) and value is not None:
            return self._leaf(partial(self.stored_as, value, annotation))
        kind = type(value)
        if kind is ArtifactRef or (kind is dict and is_tagged(value)):
            return Done(ArtifactRef.parse(value))
        if kind in BUILT_IN and wire_form.is_held(value):
            return self._container(value, annotation)
        if source == "file":
            return self._leaf(partial(artifact, value, self.policy()))
        return Done(value) if wire_form.is_inline(value) else self._object(value)

    def _container(self, value: Any, annotation: Annotation) -> Node:
        parts = apart(value)
        assert parts is not None
        if not isinstance(annotation, _HOLDING) and wire_form.are_inline(parts.children):
            return Done(parts.make(parts.children))
        children = (
            self.node(child, of_child(annotation, name, len(parts.children)))
            for child, name in zip(parts.children, parts.names, strict=True)
        )
        return branch(children, parts.make)

    def _object(self, value: Any) -> Node:
        """Return the tree of a value that is no data: an artifact of its own, or a pickle with references in it."""
        if adapter.is_lambda(value):
            raise TypeError(wire_form.placeholder(f"the result of {self.function!r}"))
        fmt = self._attributed(partial(format_for, value))
        return self._encoded(value, fmt) if fmt.safe else self._pickle(value)

    def _encoded(self, value: Any, fmt: Format) -> Node:
        """Return the tree of a value that has a format; the small ones of a result are stored in one call."""

        def encode(_: Any) -> Node:
            ref = self._attributed(partial(self.small.leaf, value, self.policy(), fmt))
            return Done(ref) if isinstance(ref, ArtifactRef) else self._leaf(ref, does_io=False)

        return Pending(encode, Done(None), does_io=not _is_small(value))

    def _pickle(self, value: Any, name: str | None = None) -> Node:
        pickled = self._attributed(partial(object_pickles.pickled, value, self.policy()))
        leaves = branch((self.node(leaf, ANY) for leaf in pickled.leaves), list)

        def stored(refs: list[ArtifactRef]) -> Node:
            ref = self._attributed(partial(object_pickles.stored, pickled, refs, self.policy(), self.small, name))
            if isinstance(ref, ArtifactRef):
                return Done(inner_artifacts.note(ref, refs))
            return self._leaf(lambda: inner_artifacts.note(ref(), refs), does_io=False)

        return Pending(stored, leaves, does_io=pickled.size > MAX_BATCH_OBJECT)

    def together(self, value: Any, annotation: Annotation) -> ArtifactRef | None:
        """Return the reference of data with many objects, stored as one pickle; None for all other values."""
        if has_options(annotation) or not has_many_objects(value, self.policy.inline_max):
            return None
        try:
            return self.as_object(value, annotation)
        except (ArtifactError, ValueError):  # told of the very object, when each is stored apart
            return None

    def as_object(self, value: Any, annotation: Annotation) -> ArtifactRef:
        """Return the reference of data that is nested too deeply for its formats: a pickle, as of any object.

        Raises:
            ValueError: It is nested too deeply for a pickle as well, or has parts with options of an `Out`.
            UnsafeFormatError: Pickles are denied, or cannot be signed.
        """
        if has_options(annotation):
            raise ValueError(self._too_deep())
        return self._pickled_whole(value)

    def _pickled_whole(self, value: Any, name: str | None = None) -> ArtifactRef:
        try:
            ref: ArtifactRef = resolved(self._pickle(value, name))
        except RecursionError as error:
            raise ValueError(self._too_deep()) from error
        return ref

    def stored_as(self, value: Any, options: StoredAs) -> ArtifactRef:
        """Return the reference of a value that was stored with the options of an `Out`."""
        requested, name = options.format, options.name
        source = kind_of_source(value)
        if source == "stream":
            items = options.inner.items if isinstance(options.inner, IteratorOf) else ANY
            inner: list[ArtifactRef] = []
            value = streamed(value, self.policy(), partial(self._line, items, inner), requested, name)
            if type(value) is ArtifactRef:
                inner_artifacts.note(value, inner)
        elif type(value) in BUILT_IN and wire_form.is_held(value) and wire_form.is_data_format(requested):
            value = sent_data.as_artifact(self.skeleton(value, options.inner), self.policy, requested)
        elif source is None and type(value) is not ArtifactRef and object_pickles.is_asked(value, requested):
            value = self._pickled_whole(value, name)
        if type(value) is ArtifactRef:
            return value if name is None else replace(value, filename=name)
        return artifact(value, self.policy(), requested, name)

    def _line(self, annotation: Annotation, inner: list[ArtifactRef], item: Any) -> bytes:
        """Return one item of a stream as a line of ``json@1``, its leaves stored apart and added to `inner`."""
        skeleton = self.skeleton(item, annotation)
        try:
            line = json_line(skeleton)
        except NoFormatError as error:
            raise ValueError(self._too_deep()) from error
        if len(inner) < inner_artifacts.MOST:
            inner += inner_artifacts.references_in(skeleton, Encoded((line,)))
        return line

    def _too_deep(self) -> str:
        return wire_form.too_deep() if self.function is None else wire_form.too_deep(f"the result of {self.function!r}")

    def _leaf(self, job: Callable[[], ArtifactRef], *, does_io: bool = True) -> Node:
        return Pending(lambda _: Done(self._attributed(job)), Done(None), does_io)

    def _attributed(self, job: Callable[[], Made]) -> Made:
        """Run a job; its errors name the function."""
        try:
            return job()
        except ArtifactError as error:
            error.function = error.function or self.function
            raise


def _is_small(value: Any) -> bool:
    """Return whether a value is known to be so small that a thread to encode it costs more than it saves."""
    size = len(value) if isinstance(value, (str, bytes, bytearray)) else getattr(value, "nbytes", None)
    return type(size) is int and size <= MAX_BATCH_OBJECT
