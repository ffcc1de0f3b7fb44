"""What a function is given: references become values as annotations ask, and every value is the function's own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lucas_storage.values.annotations.annotation import ANY, Annotation
from lucas_storage.values.annotations.annotation_reader import read
from lucas_storage.values.parallel_resolution import Node, branch, resolved
from lucas_storage.values.storing.policy import ByOptions, Policies
from lucas_storage.values.wire_form import too_deep

from .argument_tree import Call, Parameter
from .record_fields import Classes
from .subject import Subject


def resolve(
    given: Mapping[str, Any],
    annotations: Mapping[str, Annotation],
    function: str,
    policy: Policies,
    classes: Classes = MappingProxyType({}),
) -> dict[str, Any]:
    """Return parameters with every reference in them replaced by its value, as their annotations ask.

    All values are new: whatever is done to them, nobody else sees it. Files are shared, and read-only.

    Args:
        given: Values by parameter name, references in them at any depth.
        annotations: Of each parameter; one without is loaded in its stored format.
        function: Named in errors.
        policy: Where to store a value of which the function wants a reference.
        classes: The classes that annotations name.

    Raises:
        ArtifactError: A reference cannot be resolved; carries function and parameter.
        TypeError: A value does not convert to the annotation of its parameter, or is a placeholder.
        ValueError: A value contains itself.
    """
    call = Call(policy, classes)
    try:
        # One tree for all parameters, so that their artifacts are loaded at the same time.
        nodes = [
            _node(Parameter(Subject(name, function), call), value, annotations.get(name, ANY))
            for name, value in given.items()
        ]
        values = resolved(branch(nodes, list))
    except RecursionError as error:
        raise ValueError(too_deep(f"an argument of {function!r}")) from error
    return dict(zip(given, values, strict=True))


def value_of(value: Any, annotation: Any = None) -> Any:
    """Return `value` with every reference in it replaced, outside any function.

    Args:
        value: A reference, or data that holds some.
        annotation: Type to convert to; None loads each reference in its stored format.

    Raises:
        ArtifactError: A reference cannot be resolved.
        ValueError: The value contains itself.
    """
    classes: dict[str, type] = {}
    wanted = ANY if annotation is None else read(annotation, classes=classes)
    parameter = Parameter(Subject(None, None), Call(ByOptions(), classes))
    try:
        return resolved(_node(parameter, value, wanted))
    except RecursionError as error:
        raise ValueError(too_deep()) from error


def _node(parameter: Parameter, value: Any, annotation: Annotation) -> Node:
    try:
        return parameter.node(value, annotation, fresh=False)
    except RecursionError as error:
        raise ValueError(too_deep(str(parameter.subject))) from error
