"""The tree of one argument: what in it is there, and what is still to be loaded, converted or stored.

A reference, and a value that must be converted, is pending. Loading one may bring data with further references, which
is collected in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from lucas_storage.containers import BUILT_IN, Parts, apart, holds, holds_beside_objects
from lucas_storage.engine import adapter
from lucas_storage.formats import holds_references
from lucas_storage.formats.composite import STREAM
from lucas_storage.formats.tables.lazy_tables import select
from lucas_storage.refs import ArtifactRef, is_tagged
from lucas_storage.values import recent_data, wire_form
from lucas_storage.values.annotations.annotation import (
    ANY,
    BYTES,
    PATH,
    PIECES,
    REF,
    Annotation,
    Columns,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    Made,
    OneOf,
    OrNone,
    Record,
    SetOf,
    TupleOf,
    TupleOfAnyLength,
    Word,
    of_child,
)
from lucas_storage.values.annotations.shown import shown
from lucas_storage.values.object_copy import own_objects
from lucas_storage.values.own_copy import own_data, own_leaf
from lucas_storage.values.parallel_resolution import Done, Node, Pending, branch, resolved
from lucas_storage.values.storing import outgoing
from lucas_storage.values.storing.policy import Policies
from lucas_storage.values.storing.store_value import TEXT
from lucas_storage.values.unchanging import SCALARS, UNCHANGING

from . import union_choice
from .conversions import converted, made_into, rekeyed
from .load_value import CHUNKS, check, is_ready, items, lift, load, load_columns, load_data, mismatch
from .record_fields import Classes, fields_given, made
from .subject import Subject

_DECIDED_BY_VALUE: Final = (Record, OrNone, Either, OneOf, EnumOf)
"""Annotations that ask more of a value than its format gives."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function, whose arguments are collected."""

    policy: Policies
    classes: Classes


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call: collects the tree of its value."""

    subject: Subject
    call: Call
    copies: dict[int, Any] = field(default_factory=dict)
    """Copies of objects, as `own_leaf` notes them."""

    def node(self, value: Any, annotation: Annotation, *, fresh: bool) -> Node:  # noqa: PLR0911  # one for each form
        """Return the tree of a value.

        Args:
            value: As it travelled.
            annotation: What the function asks for.
            fresh: Whether it was made for this call alone, so that nothing needs to be copied.
        """
        kind = type(value)
        # By exact type: a subclass of dict is the user's own, and never a reference.
        is_reference = kind is ArtifactRef or (kind is dict and is_tagged(value))
        # First, since most values are data that may be anything.
        if annotation == ANY and not is_reference:
            if kind in UNCHANGING:
                return Done(value)
            if kind in BUILT_IN:
                return self._container(value, annotation, fresh=fresh)
        made = annotation.inner if isinstance(annotation, OrNone) else annotation
        if isinstance(made, Made):
            inner = OrNone(made.inner) if isinstance(annotation, OrNone) else made.inner
            return branch([self.node(value, inner, fresh=fresh)], lambda values: made_into(values[0], made))
        if is_reference:
            return self._reference(value, annotation)
        if isinstance(annotation, OrNone):
            if value is None:
                return Done(None)
            return self.node(value, annotation.inner, fresh=fresh)
        if kind not in SCALARS and kind not in BUILT_IN and adapter.is_lambda(value):
            # A Lambda has every attribute, so it would pass later checks and be stored as a value.
            raise TypeError(wire_form.placeholder(str(self.subject)))
        return self._value(value, annotation, fresh=fresh)

    def _value(self, value: Any, annotation: Annotation, *, fresh: bool) -> Node:  # noqa: PLR0911  # one case for each form
        match annotation:
            case Either():
                chosen = self.subject.told(partial(union_choice.of_value, value, annotation, self.call.classes))
                return self.node(value, chosen, fresh=fresh)
            case OneOf() | EnumOf():
                return Done(self.subject.told(partial(converted, value, annotation, self.call.classes)))
            case Columns():
                return self._columns(value, annotation)
            case Word("ref"):
                # The function wants a reference, and the engine passed a value: it is stored for it.
                return self._pending(lambda: outgoing.stored(value, self.call.policy), does_io=True)
            case Word(word) if annotation != ANY:
                return self._word(value, word, fresh=fresh)
            case ListOf() | SetOf() | DictOf() | TupleOf() | TupleOfAnyLength() if _is_scalar(value):
                raise TypeError(f"{self.subject} {mismatch(value, shown(annotation))}")
            case Record():
                return self._record(value, annotation, fresh=fresh)
        return self._container(value, annotation, fresh=fresh)

    def _columns(self, value: Any, wanted: Columns) -> Node:
        """Return the tree of a table that travelled as a value, of which some columns are wanted."""
        word = _asked(wanted.inner)

        def chosen() -> Any:
            table = value if is_ready(value, word) else self.subject.fitting(value, word, partial(lift, value, word))
            return own_leaf(select(table, wanted.columns, word))

        return self._pending(chosen, does_io=False)

    def _word(self, value: Any, word: str, *, fresh: bool) -> Node:
        if is_ready(value, word):
            return Done(value if fresh else own_leaf(value, self.copies))
        return self._pending(partial(self.subject.fitting, value, word, partial(lift, value, word)), does_io=False)

    def _container(self, value: Any, annotation: Annotation, *, fresh: bool) -> Node:
        keys = _keys_alone(value, annotation)
        if type(value) in BUILT_IN and (annotation == ANY or keys is not None):
            whole = (None if holds(value, ArtifactRef) else value) if fresh else own_data(value)
            if whole is not None:
                return Done(whole if keys is None else self._rekeyed(whole, keys))
        parts = apart(value)
        if parts is not None:
            whole = own_objects(value) if annotation == ANY and not fresh and type(value) not in BUILT_IN else None
            return self._branch(parts, annotation, fresh=fresh) if whole is None else Done(whole)
        if annotation == PIECES and not is_ready(value, CHUNKS):
            return self._word(value, CHUNKS, fresh=fresh)
        return Done(value if fresh else own_leaf(value, self.copies))

    def _branch(self, parts: Parts, annotation: Annotation, *, fresh: bool) -> Node:
        children = [
            self.node(child, of_child(annotation, name, len(parts.children)), fresh=fresh)
            for child, name in zip(parts.children, parts.names, strict=True)
        ]
        make = _final(parts, annotation)
        if not isinstance(annotation, DictOf) or annotation.keys == ANY or parts.is_sequence:
            return branch(children, make)
        return branch(children, lambda values: self._rekeyed(make(values), annotation.keys))

    def _rekeyed(self, values: dict[Any, Any], keys: Annotation) -> dict[Any, Any]:
        found: dict[Any, Any] = self.subject.told(partial(rekeyed, values, keys, self.call.classes))
        return found

    def _record(self, value: Any, annotation: Record, *, fresh: bool) -> Node:
        """Return the tree of an object with fields, or of data that becomes one."""
        wanted = dict(annotation.fields)
        cls = self.call.classes.get(annotation.name)
        given = None if cls is None else self.subject.told(partial(fields_given, value, annotation.kind, cls))
        if cls is not None and given is not None:
            parts = Parts(list(given.values()), list(given), lambda fields: self._made(cls, given, fields))
        elif (found := apart(value)) is not None:
            parts = found
        else:
            return Done(value if fresh else own_leaf(value, self.copies))
        nodes = [
            self.node(child, wanted.get(str(name), ANY), fresh=fresh)
            for child, name in zip(parts.children, parts.names, strict=True)
        ]
        return branch(nodes, parts.make)

    def _made(self, cls: type, names: Mapping[str, Any], fields: list[Any]) -> Any:
        try:
            return made(cls, names, fields)
        except Exception as error:
            # Of its own class still: it is the user's, or that of a package that checks values.
            error.add_note(f"It was raised when {self.subject} was made into a {cls.__name__}.")
            raise

    def _reference(self, value: Any, annotation: Annotation) -> Node:
        ref = self.subject.attributed(partial(ArtifactRef.parse, value))
        wanted = annotation.inner if isinstance(annotation, OrNone) else annotation
        if isinstance(wanted, Either):
            wanted = union_choice.of_artifact(ref, wanted)
            annotation = OrNone(wanted) if isinstance(annotation, OrNone) else wanted
        if isinstance(wanted, Made):
            return self.node(value, annotation, fresh=False)
        if wanted == PATH and ref.format == TEXT and not ref.filename:
            raise TypeError(f"{self.subject} {mismatch('', PATH.name)}")
        if ref.format == STREAM and isinstance(wanted, IteratorOf):
            return self._pending(partial(self._items, ref, wanted.items), does_io=True)
        # The reference that stands for None, which engines cannot carry: a parameter gets None itself.
        if wanted != REF and (ref.format, ref.inline) == ("json@1", b"null"):
            return self.node(None, annotation, fresh=True)
        if isinstance(wanted, Columns):
            job = partial(load_columns, ref, wanted.columns, _asked(wanted.inner))
            return self._pending(job, does_io=ref.inline is None)
        word = _asked(wanted)
        if word == CHUNKS and wire_form.is_data_format(ref.format):  # a list of pieces
            word = ANY.name
        return Pending(
            lambda _: self._loaded(ref, word, annotation), Done(None), ref.inline is None and word != REF.name
        )

    def _loaded(self, ref: ArtifactRef, word: str, annotation: Annotation) -> Node:
        if annotation == ANY and holds_references(ref.format):
            recent = recent_data.copy_of(ref)
            if recent is not None:
                return Done(recent)
            value, refers = self.subject.attributed(partial(load_data, ref))
            # Made for this call, and nothing is left to be made in it.
            return self.node(value, annotation, fresh=True) if refers else Done(value)
        value = self.subject.attributed(partial(load, ref, word))
        if word not in (ANY.name, CHUNKS):
            self.subject.fitting(value, word, partial(check, value, word))
            return Done(value)
        # Data may hold references of its own, and becomes what the annotation asks. A pickle is what it was.
        kind = type(value)
        if annotation == ANY and kind in BUILT_IN and not holds_beside_objects(value, ArtifactRef):
            return Done(value)
        if kind in BUILT_IN or kind is ArtifactRef or isinstance(annotation, _DECIDED_BY_VALUE):
            return self.node(value, annotation, fresh=True)
        return Done(value)

    def _items(self, ref: ArtifactRef, annotation: Annotation) -> Iterator[Any]:
        """Return the items of a stream, loaded as they are asked for; raises at once if none can be read."""
        # Not a generator itself: `items` is called now, so that a missing stream fails before the function runs.
        return self._each(items(ref), annotation)

    def _each(self, found: Iterator[Any], annotation: Annotation) -> Iterator[Any]:
        end = object()
        while (item := self.subject.attributed(partial(next, found, end))) is not end:
            if type(item) is bytes and annotation in (ANY, BYTES):
                yield item
            else:
                yield resolved(self.node(item, annotation, fresh=True))

    def _pending(self, job: Callable[[], Any], *, does_io: bool) -> Pending:
        return Pending(lambda _: Done(self.subject.attributed(job)), Done(None), does_io)


def _is_scalar(value: Any) -> bool:
    """Return whether a value holds nothing, so that no container can be made of it; None is left to the function."""
    return value is not None and type(value) in SCALARS


def _keys_alone(value: Any, annotation: Annotation) -> Annotation | None:
    """Return the annotation of the keys of a dict whose values may be anything; None otherwise."""
    if isinstance(annotation, DictOf) and annotation.values == ANY and isinstance(value, dict):
        return annotation.keys
    return None


def _asked(annotation: Annotation) -> str:
    """Return the word by which an artifact is loaded."""
    if isinstance(annotation, Word):
        return annotation.name
    return CHUNKS if annotation == PIECES else ANY.name


def _final(parts: Parts, annotation: Annotation) -> Callable[[list[Any]], Any]:
    """Return what makes the container, of the annotated type: engines that carry JSON make lists of tuples."""
    if not parts.is_sequence or parts.make is frozenset:
        return parts.make
    match annotation:
        case TupleOf() | TupleOfAnyLength():
            return tuple
        case SetOf():
            return set
        case IteratorOf():
            return iter
    return parts.make
