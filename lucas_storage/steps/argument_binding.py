"""Argument binding: values by parameter name, whatever the calling convention of the engine.

Lucas has three conventions: a runtime whose ``input()`` is a dict, keywords, and one dict of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lucas_storage.engine import adapter
from lucas_storage.refs import is_tagged
from lucas_storage.values.annotations.annotation import (
    ANY,
    REF,
    Annotation,
    DictOf,
    Either,
    IteratorOf,
    Made,
    OrNone,
    Record,
    Word,
    within,
)

from .contract import Contract

_BUNDLE: Final = "params"
"""The parameter to which the actor platform passes all inputs, as one dict."""
_ENGINE_NAMES: Final = ("sessionID", "instanceID", "name")
"""Keys that ignis's executor adds to the dict of parameters; always together."""
_LATE: Final = (REF, Word("lazyframe"), Word("dataset"))
"""Annotations of values that are read, if at all, when the function asks."""


class ArgumentBinder:
    """Binds the arguments of engines to the parameters of one function. Safe to share between threads.

    Args:
        contract: The contract of the function.
    """

    def __init__(self, contract: Contract) -> None:
        parameters = contract.parameters
        self._function = contract.name
        self._names = tuple(parameter.name for parameter in parameters)
        self._known = frozenset(self._names)
        self._required = frozenset(parameter.name for parameter in parameters if parameter.is_required)
        self._open = contract.more is not None
        self._more = contract.more or ANY
        self._takes_runtime = contract.takes_runtime
        self._late = frozenset(each.name for each in parameters if _is_late(each.annotation))
        self.annotations: dict[str, Annotation] = {parameter.name: parameter.annotation for parameter in parameters}

    def read_later(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the arguments, as they travel, that the function gets as references, or as what reads one later."""
        if not self._late:  # of most functions
            return []
        return [value for name, value in given.items() if name in self._late]

    def annotations_of(self, given: Mapping[str, Any]) -> Mapping[str, Annotation]:
        """Return the annotation of each argument, those that a ``**`` parameter takes included."""
        if self._more == ANY:
            return self.annotations
        return {**self.annotations, **dict.fromkeys(given.keys() - self._known, self._more)}

    def runtime(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any | None:
        """Return the runtime that the function takes as it is, or None if it takes its inputs by name.

        Raises:
            TypeError: It takes a runtime and the engine passed none.
        """
        if not self._takes_runtime:
            return None
        if len(args) == 1 and not kwargs and adapter.is_runtime(args[0]):
            return args[0]
        raise self._error(
            f"takes the runtime {self._names[0]!r} and this engine passes none",
            "name the inputs as parameters instead, which runs on every engine",
        )

    def by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
        """Return the arguments by parameter name; parameters with defaults may be missing.

        Raises:
            TypeError: Parameters are missing or surplus.
        """
        if not args:
            # Nothing at all is no dict of inputs: engines that pass one dict pass an empty one.
            return self._by_keywords(kwargs)
        if len(args) > 1 or kwargs:
            return self._checked(self._positional(args, kwargs))
        given = args[0].input() if adapter.is_runtime(args[0]) else args[0]
        if type(given) is dict and not is_tagged(given):
            return self._fitted(given)
        return self._checked(self._positional((given,), {}))

    def _by_keywords(self, given: dict[str, Any]) -> Mapping[str, Any]:
        # Engines pass all inputs as one dict by position, and by keywords to a parameter of this name alone. Any other
        # keyword that is no parameter is a mistake in a call of the user's own.
        if given and self._names == (_BUNDLE,):
            return self._fitted(given)
        return self._checked(given if self._fits(given) else self._without_engine_names(given))

    def _fitted(self, given: dict[str, Any]) -> Mapping[str, Any]:
        """Return a dict by name if its keys are the parameters; else as the value of the only parameter."""
        if self._required <= given.keys() <= self._known:
            return given
        # Only if the names do not fit as they are: a function may have a parameter called `name`.
        given = self._without_engine_names(given)
        if len(self._names) != 1 or self._open or self._fits(given):
            return self._checked(given)
        name = self._names[0]
        if not _may_be_a_dict(self.annotations[name]):
            return self._checked(given)
        return {name: given}

    def _without_engine_names(self, given: dict[str, Any]) -> dict[str, Any]:
        # All three or none: a single one of these names may be a parameter of the user's workflow.
        if not given.keys() >= set(_ENGINE_NAMES):
            return given
        dropped = set(_ENGINE_NAMES) - self._known
        return {name: value for name, value in given.items() if name not in dropped}

    def _fits(self, given: Mapping[str, Any]) -> bool:
        return self._required <= given.keys() and (self._open or given.keys() <= self._known)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if len(args) > len(self._names):
            raise self._error(f"takes {len(self._names)} parameters and got {len(args)}", "pass them by name")
        given = dict(zip(self._names, args, strict=False))
        # A shim takes any arguments, so Python itself does not report this.
        for name in given.keys() & kwargs.keys():
            raise self._error(f"got the parameter {name!r} twice", "pass it once")
        return {**given, **kwargs}

    def _checked(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._fits(given):
            return given
        missing = [name for name in self._names if name in self._required and name not in given]
        surplus = [name for name in given if name not in self._known]
        problems = []
        if missing:
            problems.append(f"did not get {_listed(missing)}")
        if surplus and not self._open:
            problems.append(f"got {_listed(surplus)}, which it does not take")
        raise self._error(" and ".join(problems), f"it takes {_listed(self._names) or 'nothing'}")

    def _error(self, problem: str, remedy: str) -> TypeError:
        return TypeError(f"{self._function!r} {problem}; {remedy}")


def _may_be_a_dict(annotation: Annotation) -> bool:
    """Return whether a parameter of this annotation may take a dict of all inputs."""
    inner = annotation.inner if isinstance(annotation, OrNone | Made) else annotation
    if isinstance(inner, Either):
        return any(map(_may_be_a_dict, inner.members))
    return inner in (ANY, REF) or isinstance(inner, (DictOf, Record))


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)


def _is_late(annotation: Annotation) -> bool:
    return annotation in _LATE or isinstance(annotation, IteratorOf) or any(map(_is_late, within(annotation)))
