"""Calls of functions on the platform: arguments are checked before anything is sent; results pass as references."""

from __future__ import annotations

import itertools
import pickle
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Self

from actorc.controller.errors import ControllerError, ParameterError, PicklingError
from actorc.controller.protocol.value_codec import Encoded, decoded, dumps
from lucas_storage.engine.nested_values import found_in, replaced

from . import connection
from .functions.definition import HIDDEN_PARAMETER, PLACE_PARAMETER, Definition
from .functions.remote_objects import Method
from .remote_references import CallKey, NotHereError, RemoteValue

if TYPE_CHECKING:
    from .connection import Connection
    from .session.session import Session


class Calls:
    """The calls of one run. Their results stay on the platform until it is closed. Any thread may call it.

    Args:
        through: The connection to the controller; None for the one of this process.
    """

    def __init__(self, through: Connection | None = None) -> None:
        self._connection = through or connection.establish()
        self._session_id = str(uuid.uuid4())
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # guards the two below
        self._made: dict[CallKey, Session] = {}
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(
        self, callee: Definition | Method, given: Mapping[str, Any], place: Mapping[str, object] | None = None
    ) -> RemoteValue:
        """Call a function or a method and return its result as a reference; the value stays on the platform.

        Args:
            callee: The function, or the method of an object.
            given: Values by parameter name; a `RemoteValue` of this connection is passed on as a reference.
            place: Where the record of the call belongs, for a function that takes that.

        Raises:
            ParameterError: Parameters are missing or surplus.
            PicklingError: The function or an argument cannot be pickled.
            MessageTooLargeError: The function or an argument cannot be sent.
            ControllerUnavailableError: There is no controller, or the connection was lost, with it every object.
            ControllerTimeoutError: The function was not dealt with, or did not return, in its time.
            RemoteFunctionError: The function raised, or its worker ended.
        """
        try:
            return self.start(callee, given, place=place).result()
        except CancelledError:
            raise self._closed_error(callee.name) from None

    def start(
        self,
        callee: Definition | Method,
        given: Mapping[str, Any],
        instance_id: str = "",
        place: Mapping[str, object] | None = None,
    ) -> Future[RemoteValue]:
        """Start a call as `call` does, and return its pending result; `instance_id` names the call within the run."""
        arguments = self._arguments(callee, given)
        if takes_place(callee):
            # Plain data, of which no function pickler is needed.
            arguments[PLACE_PARAMETER] = Encoded(data=pickle.dumps(place, pickle.HIGHEST_PROTOCOL))
        session = self._connection.session()
        call = self._key(callee, instance_id)
        # before the call is registered: an object whose session has ended must fail and leave nothing to release
        if isinstance(callee, Method):
            callee.definition.session.bind(session, callee.definition.name)
        # checked and added under one lock: a call that `close` does not see would keep its result for ever
        with self._lock:
            if self._is_closed:
                raise self._closed_error(callee.name)
            self._made[call] = session
        return session.start(callee.definition if isinstance(callee, Method) else callee, call, arguments)

    @staticmethod
    def must_fetch(definition: Definition | Method, given: Mapping[str, Any]) -> bool:
        """Return whether `start` would block to fetch results that are nested in other values."""
        values = list(given.values())
        within = values if definition.signature.bundles(given) else [v for v in values if type(v) is not RemoteValue]
        return bool(found_in(within, RemoteValue))

    def fetched(self, value: Any) -> Any:
        """Return `value` with each `RemoteValue` in it replaced by its value; all are fetched at the same time.

        Raises:
            ControllerUnavailableError: The connection was lost.
            ControllerTimeoutError: The controller did not send a value in time.
            PicklingError: A result cannot be unpickled here.
        """
        # all requests before the first wait, so that the values travel together
        asked = {remote: remote.connection.fetch(remote) for remote in found_in(value, RemoteValue)}
        return replaced(value, RemoteValue, lambda remote: _decoded(remote, asked[remote].result())) if asked else value

    def close(self) -> None:
        """Release all results; calls under way continue, and their results are dropped."""
        with self._lock:
            self._is_closed = True
            made, self._made = self._made, {}
        for call, session in made.items():
            session.release(call)

    def _key(self, callee: Definition | Method, instance_id: str) -> CallKey:
        if isinstance(callee, Method):
            # An object's key is its instance id, so only the session id is left to tell two calls of one method apart.
            return CallKey(session_id=str(uuid.uuid4()), instance_id=callee.definition.key, function=callee.name)
        number = instance_id or str(next(self._numbers))
        return CallKey(session_id=self._session_id, instance_id=number, function=callee.name)

    def _arguments(self, definition: Definition | Method, given: Mapping[str, Any]) -> dict[str, Encoded | RemoteValue]:
        if definition.signature.bundles(given):
            given = {"params": {name: _plain(value) for name, value in given.items()}}
        completed = definition.signature.completed(given)
        encoded = {name: self._encoded(definition.name, name, value) for name, value in completed.items()}
        is_bare = not encoded and isinstance(definition, Definition) and not definition.takes_place
        return {HIDDEN_PARAMETER: Encoded(data=dumps(None))} if is_bare else encoded

    def _encoded(self, function: str, parameter: str, value: Any) -> Encoded | RemoteValue:
        if isinstance(value, (Encoded, RemoteValue)):
            return value
        try:
            return Encoded(data=dumps(value))
        except NotHereError:
            # Results rarely hide in arguments, so none is searched for them before pickling has failed.
            inner = self.fetched(value)
        except Exception as error:
            raise _not_pickled(function, parameter, error) from error
        try:
            return Encoded(data=dumps(inner))
        except Exception as error:
            raise _not_pickled(function, parameter, error) from error

    def _closed_error(self, function: str) -> ControllerError:
        return ControllerError(f"the run that called {function!r} is over", function=function)


def takes_place(callee: Definition | Method) -> bool:
    """Return whether the record of a call can be written where it runs."""
    return isinstance(callee, Definition) and callee.takes_place


def value_of_call(definition: Definition | Method, given: Mapping[str, Any]) -> Any:
    """Call a function or a method outside of any run and return its value; raises as `Calls.call` does."""
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"{definition.name!r} is called with a dict of its parameters, not with {type(given).__name__}",
            function=definition.name,
        )
    with Calls() as calls:
        return calls.fetched(calls.call(definition, given))


value_of_call.__module__ = "actorc.controller.calls"  # where processes of any version find it


def _plain(value: Any) -> Any:
    return decoded(value) if isinstance(value, Encoded) else value


def _decoded(value: RemoteValue, encoded: Encoded) -> Any:
    try:
        return decoded(encoded)
    except Exception as error:
        raise PicklingError(
            f"the result of {value.call.function!r} cannot be read here because of {type(error).__name__} ({error}); "
            "install here what the worker has, or return plain data",
            function=value.call.function,
        ) from error


def _not_pickled(function: str, parameter: str, error: Exception) -> PicklingError:
    return PicklingError(
        f"the argument {parameter!r} of {function!r} cannot be sent because it cannot be pickled ({error}); "
        "pass plain data, and make such things within the function",
        function=function,
    )
