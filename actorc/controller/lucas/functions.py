"""`ActorFunction`, and the lookup of decorated functions by name."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from actorc.controller.client import lucas_types
from actorc.controller.client.calls import value_of_call
from actorc.controller.client.functions.definition import Definition
from actorc.controller.errors import UnknownFunctionError
from lucas_storage._tracebacks import shortened

_LUCAS_OWN: Final = "lucas.actorc.actor"


class ActorFunction(lucas_types.Function):
    """A function that runs on the platform: ``@function(wrapper=ActorFunction, provider="actor", …)``.

    It is pickled at its first call, with the functions and globals it then uses. ``export()`` gives a callable that
    takes a dict of parameters, calls the function on the platform, and returns its value.

    Raises:
        ParameterError: A parameter of the function cannot be passed by name.
        ControllerError: A keyword of the decorator has an impossible value.
    """

    __module__ = "actorc.controller.functions"  # where processes of any version find it

    def onFunctionInit(self, fn: Callable[..., Any]) -> None:  # noqa: N802  # Lucas's contract
        """Read the signature and the keywords of the decorator."""
        self.definition = Definition.of(fn, self._config)

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG002  # Lucas's contract
        def call(arguments: Mapping[str, Any] | None = None) -> Any:
            with shortened:
                return value_of_call(self.definition, {} if arguments is None else arguments)

        return call


def named(name: str) -> Definition:
    """Return the function registered for the platform under `name`, the latest if there are several.

    Raises:
        UnknownFunctionError: There is none, or it has another provider.
        ParameterError: A parameter of the function cannot be passed by name.
    """
    entries = lucas_types.registered()
    function = next((getattr(entry, "function", None) for entry in entries if entry.name == name), None)
    if isinstance(function, ActorFunction):
        return function.definition
    if type(function).__module__ == _LUCAS_OWN:
        return _definition_of(function)
    if function is None:
        raise UnknownFunctionError(_unknown(name, {entry.name for entry in entries}), function=name)
    raise UnknownFunctionError(
        f"the function {name!r} is not registered for the actor platform, on which this workflow runs; decorate it "
        "with @function(provider='actor', wrapper=ActorFunction)",
        function=name,
    )


_definitions: weakref.WeakKeyDictionary[Any, Definition] = weakref.WeakKeyDictionary()
"""Definitions of functions of Lucas's own class."""


def _definition_of(function: Any) -> Definition:
    if function not in _definitions:
        _definitions[function] = Definition.of(function._origin_fn, function._config)  # noqa: SLF001  # Lucas's contract
    return _definitions[function]


def _unknown(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else "decorate it with @function before it is called"
    return f"no function is registered as {name!r}; {hint}"
