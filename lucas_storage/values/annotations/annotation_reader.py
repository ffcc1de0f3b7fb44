"""Reads annotations once, on the driver, into `Annotation`, which travels without the types they name.

Third-party types are recognised by name, never by importing them. A class that is not recognised is ``any``: its
values arrive as they are. An annotation that no value arrives as is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from actorc.signatures import signature_of

from .annotation import ANY, Annotation
from .forms import or_none
from .meaning import read_in
from .names import Namespace
from .refusals import RefusedError
from .scope import Scope


def parameter_annotations(
    function: Callable[..., Any], classes: MutableMapping[str, type] | None = None
) -> dict[str, Annotation]:
    """Return the annotation of every parameter of `function`, in order.

    A parameter whose default is None may be None whatever its annotation says.

    Args:
        function: The function.
        classes: Filled with the classes that annotations name.

    Raises:
        TypeError: An annotation cannot be honoured; names function, parameter and annotation.
    """
    scope = Scope(Namespace.of_function(function), {} if classes is None else classes)
    found: dict[str, Annotation] = {}
    for parameter in signature_of(function).parameters.values():
        given = parameter.annotation
        who = f"{function.__qualname__!r} annotates {parameter.name!r} as"
        annotation = ANY if given is parameter.empty else _told(who, given, scope)
        found[parameter.name] = or_none(annotation) if parameter.default is None else annotation
    return found


def result_annotation(function: Callable[..., Any]) -> Annotation:
    """Return the annotation of the result of `function`.

    Raises:
        TypeError: It cannot be honoured; names function and annotation.
    """
    given = signature_of(function).return_annotation
    if given is inspect.Signature.empty:
        return ANY
    scope = Scope(Namespace.of_function(function), {}, is_result=True)
    return _told(f"{function.__qualname__!r} annotates its result as", given, scope)


def read(
    annotation: object,
    names: Mapping[str, Any] | None = None,
    *,
    results: bool = False,
    classes: MutableMapping[str, type] | None = None,
) -> Annotation:
    """Return one annotation, read.

    Args:
        annotation: A type, a typing construct, or the text of one.
        names: Values of the names in a text, as far as known; the others are judged by their spelling.
        results: Whether it is that of a result.
        classes: Filled with the classes that it names.

    Raises:
        TypeError: It cannot be honoured, or its `Out` is a class and not a call, or has options not known here.
    """
    scope = Scope(Namespace(names or {}), {} if classes is None else classes, is_result=results)
    return _told("a value is annotated", annotation, scope)


def _told(who: str, annotation: object, scope: Scope) -> Annotation:
    try:
        return read_in(scope, annotation)
    except RefusedError as error:
        shown = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        raise TypeError(f"{who} {shown}{error}") from None
