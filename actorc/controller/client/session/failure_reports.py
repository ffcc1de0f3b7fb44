"""Error messages for calls that failed or did not end in time: what was awaited, for how long, and where to look."""

from __future__ import annotations

import re
from typing import Final

from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import ObjectDefinition
from actorc.controller.client.timeouts import PLATFORM_LIMIT
from actorc.controller.errors import ControllerError, ControllerTimeoutError, RemoteFunctionError

from .dispatch import Call
from .pending_fetches import Fetch

_LOG: Final = "Look at the log of the controller, where workers write too"
_NEEDS: Final = (
    "a venv has nothing but what dependency names, which must bring 'actorc', and 'lucas-storage' for functions with "
    "@with_storage"
)
_NO_OBJECTS: Final = (
    "ignis drops the definitions of their classes (`platform/control/control.go` of 0bcdbd2); "
    "use functions there, or the controller of 'lucas-storage run'"
)
_ENDED: Final = "future: timeout"
"""Ignis's text for a call that exceeded its time (`utils/future.go` of ignis b843106)."""

_GIVEN_UP: Final = r"{} did not return within ([0-9.e+-]+) seconds"
"""The embedded controller's text for such a call; it kills the process in which the call runs."""


def failure(call: Call, said: str) -> ControllerError:
    """Return the error for a call that the controller reports as failed."""
    # Ignis puts a line of its own before the worker's text.
    worker = said.removeprefix(f"{call.name}: execution failed\n")
    if worker == _ENDED:
        return _ended_by_platform(call.function.definition)
    if (given_up := re.match(_GIVEN_UP.format(re.escape(repr(call.name))), said)) is not None:
        seconds = float(given_up[1])
        return ControllerTimeoutError(said, waited_for="call", seconds=seconds, function=call.key.function)
    return RemoteFunctionError.of(call.key.function, worker or "it answered without a result")


def late_definition(call: Call, seconds: float) -> ControllerTimeoutError:
    """Return the error for a call of a function that the controller did not define in time."""
    definition = call.function.definition
    return ControllerTimeoutError(
        f"the controller did not deal with the definition of {definition.name!r} within {seconds:g} seconds. It makes "
        f"the {_venv(definition)} meanwhile and tells nobody when that fails; {_NEEDS}. {_LOG}, for "
        f"{call.name or definition.name!r}; allow more time with IGNIS_DEFINITION_TIMEOUT",
        waited_for="definition",
        seconds=seconds,
        function=definition.name,
    )


def late_call(call: Call, seconds: float) -> ControllerTimeoutError:
    """Return the error for a call to ignis that did not return in time."""
    definition = call.function.definition
    known = "" if call.function.has_answered else _likely_reason(definition)
    return ControllerTimeoutError(
        f"{definition.name!r} did not return within {seconds:g} seconds of its call, and whether it still runs is "
        f"unknown. Its replica counts as lost and is replaced. {known}{_LOG}, for {call.name!r}; allow more time with "
        f"timeout= in its @function, or IGNIS_CALL_TIMEOUT, though ignis itself ends a call after {PLATFORM_LIMIT:g} "
        "seconds",
        waited_for="call",
        seconds=seconds,
        function=definition.name,
    )


def late_value(fetch: Fetch, seconds: float) -> ControllerTimeoutError:
    """Return the error for a value that did not arrive in time."""
    function = fetch.result.call.function
    return ControllerTimeoutError(
        f"the result of {function!r} did not come within {seconds:g} seconds of the request for it. A platform that "
        f"does not have it any more sends no answer. {_LOG}, for {fetch.result.id!r}; pass what is large with "
        "@with_storage, or allow more time with IGNIS_FETCH_TIMEOUT",
        waited_for="value",
        seconds=seconds,
        function=function,
    )


def stream_for(fetch: Fetch) -> ControllerError:
    """Return the error for a value that the platform holds as a stream, as it does for a generator's."""
    function = fetch.result.call.function
    return ControllerError(
        f"the result of {function!r} is a stream, which steps on the platform can read and nobody else; return a list, "
        "or decorate the function with @with_storage",
        function=function,
    )


def _ended_by_platform(definition: Definition) -> ControllerTimeoutError:
    return ControllerTimeoutError(
        f"{definition.name!r} was ended by ignis, which gives a call {PLATFORM_LIMIT:g} seconds and cannot be told "
        "otherwise; its worker goes on with it. Divide what takes longer into several steps",
        waited_for="call",
        seconds=PLATFORM_LIMIT,
        function=definition.name,
    )


def _likely_reason(definition: Definition) -> str:
    """Return a likely reason why no call of a function has ever ended."""
    if isinstance(definition, ObjectDefinition):
        return f"It is an object, and {_NO_OBJECTS}. "
    return f"No call of it has ever ended, so its {_venv(definition)} may not have come about; {_NEEDS}. "


def _venv(definition: Definition) -> str:
    wanted = ", ".join(map(repr, definition.requirements))
    return f"venv {definition.venv!r} with {wanted or 'no dependency'}"
