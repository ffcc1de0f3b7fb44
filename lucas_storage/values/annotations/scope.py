"""The surroundings of an annotation while it is read."""

from __future__ import annotations

import ast
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from .annotation import ANY, Annotation
from .names import Namespace
from .refusals import RefusedError
from .text import Parts, parsed, parts_of_text, parts_of_type


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of one annotation; the parts of it have surroundings of their own."""

    names: Namespace
    classes: MutableMapping[str, type]
    """Filled with the classes that annotations name, under their labels."""
    is_result: bool = False
    around: tuple[Any, ...] = ()
    """Classes and aliases being read, outermost first; one within itself would never end."""
    variables: Mapping[Any, Annotation] = field(default_factory=dict)
    """The annotations that type variables stand for."""
    is_field: bool = False
    """Whether a class has the annotation for a field: there nothing is refused, since instances arrive as they are."""
    is_inner: bool = False
    """Whether a container has it for its items."""
    is_key: bool = False
    """Whether a dict has it for its keys, of which scalars count."""

    def parts(self, annotation: Any) -> Parts:
        """Return the head of an annotation, and its arguments."""
        if isinstance(annotation, str):
            annotation = parsed(annotation)
        if isinstance(annotation, ast.expr):
            return parts_of_text(annotation, self.names)
        return parts_of_type(annotation)

    def label(self, cls: type) -> str:
        """Return the name that a class has among the classes of its function, and keep the class under it."""
        label = f"{cls.__module__}:{cls.__qualname__}"
        while self.classes.setdefault(label, cls) is not cls:  # two of one name, made by one function
            label += "'"
        return label

    def refuse(self, problem: str, remedy: str) -> Annotation:
        """Raise `RefusedError`, or return ``any`` where nothing is refused."""
        if self.is_field:
            return ANY
        raise RefusedError(problem, remedy)
