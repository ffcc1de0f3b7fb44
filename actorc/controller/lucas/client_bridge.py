"""Replaces the context of Lucas's own client of the platform, where a Lucas has one.

That client builds messages from its own protobuf files, which declare the same as ours under other names. Messages are
exchanged with it as bytes, so that a process never loads two declarations of one name.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from actorc.controller.client import lucas_types
from actorc.controller.client.calls import Calls
from actorc.controller.client.functions.remote_objects import Method, ObjectDefinition, already_pickled
from actorc.controller.client.remote_references import RemoteValue
from actorc.controller.errors import ControllerError
from actorc.controller.protocol.value_codec import Encoded

from .functions import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
    from actorc.controller.client.connection import Connection
    from actorc.controller.client.functions.definition import Definition

_KEPT_RUNS: Final = 64
"""Number of runs; Lucas never says that one is over, so the oldest is closed, unless a call of it is under way."""
_UUID_LENGTH: Final = 36
"""Characters; Lucas names a call ``run-instance-function``, and a run by a UUID."""


def adopt(through: Connection) -> None:
    """Make Lucas's own functions, executor and runtime use a connection; do nothing if this Lucas has none."""
    if not lucas_types.takes_provider_actor():
        return
    client = lucas_types.own_client()
    serving = client.ActorContext.actorContext
    if not isinstance(serving, LucasContext) or serving.through is not through:
        client.ActorContext.actorContext = LucasContext(through, client.controller_pb2.Data.FromString)


class LucasContext:
    """The object that Lucas's own client sends messages to and gets results from. Thread-safe.

    Functions are registered at their first call, as all others are, and not as Lucas pickled them at their decoration.

    Args:
        through: The connection to the controller.
        data: Parses Lucas's message of a result.
    """

    def __init__(self, through: Connection, data: Callable[[bytes], Any]) -> None:
        self.through = through
        self._data = data
        # guards the table of runs; Lucas calls this from one thread per step
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._objects: dict[str, ObjectDefinition] = {}

    def send(self, message: Any) -> None:
        """Carry out a message of Lucas's client.

        Raises:
            ControllerError: The message is not supported, or the call it starts cannot be made.
        """
        from actorc._generated.ignis.controller.v1 import controller_pb2 as pb  # noqa: PLC0415  # loads protobuf

        ours = pb.Message.FromString(message.SerializeToString())
        if ours.type == pb.FR_APPEND_ARG:
            of = ours.append_arg
            self._run(of.session_id).give((of.instance_id, of.name), of.param, of.value)
        elif ours.type == pb.FR_APPEND_CLASS_METHOD_ARG:
            to = ours.append_class_method_arg
            self._run(to.session_id).give((to.instance_id, to.method_name), to.param, to.value)
        elif ours.type == pb.FR_APPEND_PY_CLASS:
            self._objects[ours.append_py_class.name] = _object(ours.append_py_class)
        elif ours.type == pb.FR_INVOKE:
            self._run(ours.invoke.session_id).start(ours.invoke, self._callee(ours.invoke))
        elif ours.type not in (pb.FR_APPEND_PY_FUNC, pb.FR_REQUEST_OBJECT, pb.FR_DAG, pb.FR_MARK_DAG_NODE_DONE):
            raise ControllerError(
                f"the actor platform is not asked for {pb.CommandType.Name(ours.type)} here; "
                "write what the workflow calls as Python functions"
            )

    def get_result(self, key: str) -> Future[Any]:
        """Return the pending result of a call, as Lucas's message of a reference."""
        result: Future[Any] = Future()
        run = self._run(key[:_UUID_LENGTH])
        run.started(key).add_done_callback(lambda made: self._hand_over(run, made, result))
        return result

    def get_obj(self, obj_id: str) -> Future[Any]:
        """Return the value of a result, named by the result or by its call, in a future that is done."""
        value: Future[Any] = Future()
        try:
            with self._lock:
                runs = list(reversed(self._runs.values()))
            value.set_result(_value(runs, obj_id))
        except Exception as error:  # noqa: BLE001  # raised where Lucas asks for the value
            value.set_exception(error)
        return value

    def _callee(self, invoke: pb.Invoke) -> Definition | Method:
        known = self._objects.get(invoke.instance_id)
        return named(invoke.name) if known is None else known.method(invoke.name.rpartition(".")[2])

    def _run(self, name: str) -> _Run:
        with self._lock:
            if name not in self._runs:
                self._runs[name] = _Run(self.through)
            self._runs.move_to_end(name)
            oldest = next(iter(self._runs))
            ended = self._runs.pop(oldest) if len(self._runs) > _KEPT_RUNS and self._runs[oldest].is_idle else None
            found = self._runs[name]
        # outside the lock, since it sends a message for every call of the run
        if ended is not None:
            ended.calls.close()
        return found

    def _hand_over(self, run: _Run, made: Future[RemoteValue], result: Future[Any]) -> None:
        error = made.exception()
        if error is not None:
            result.set_exception(error)
            return
        # recorded before the future completes: its callbacks may ask for the value by its id at once
        run.by_id[made.result().id] = made.result()
        result.set_result(self._data(made.result().reference))


class _Run:
    """One run of a workflow by Lucas's client, or one call of a function outside of a workflow."""

    def __init__(self, through: Connection) -> None:
        self.calls = Calls(through)
        self.by_id: dict[str, RemoteValue] = {}
        self._given: defaultdict[tuple[str, str], dict[str, Encoded | RemoteValue]] = defaultdict(dict)
        self._started: dict[str, Future[RemoteValue]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether all calls of the run have ended."""
        return all(call.done() for call in list(self._started.values()))

    def give(self, call: tuple[str, str], parameter: str, data: pb.Data) -> None:
        """Keep an argument until its call, of that instance and function, is started."""
        value = (
            self.result(data.ref.id)
            if data.WhichOneof("object") == "ref"
            else Encoded(data=data.encoded.data, language=data.encoded.language)
        )
        self._given[call][parameter] = value

    def start(self, invoke: pb.Invoke, callee: Definition | Method) -> None:
        """Start a call with its collected arguments."""
        given = self._given.pop((invoke.instance_id, invoke.name), {})
        key = f"{invoke.session_id}-{invoke.instance_id}-{invoke.name}"
        self._started[key] = self.calls.start(callee, given, invoke.instance_id)

    def started(self, key: str) -> Future[RemoteValue]:
        """Return the pending result of the call `key`."""
        if key not in self._started:
            raise ControllerError("no call of this name was started")
        return self._started[key]

    def knows(self, name: str) -> bool:
        """Return whether a result or a call has this name."""
        return name in self.by_id or name in self._started

    def result(self, name: str) -> RemoteValue:
        """Return the result with this name or of the call with this name."""
        return self.by_id[name] if name in self.by_id else self.started(name).result()


def _value(runs: list[_Run], name: str) -> Any:
    run = next((run for run in runs if run.knows(name)), None)
    if run is None:
        raise ControllerError("no result of this name is known; it may be of a connection that was lost")
    return run.calls.fetched(run.result(name))


def _object(command: pb.AppendPyClass) -> ObjectDefinition:
    """Return the object that Lucas's client registers; the names of its methods contain that of its class."""
    methods = {method.name: tuple(method.params) for method in command.methods}
    name = next(iter(methods), command.name).rpartition(".")[0] or command.name
    wishes = {
        "venv": command.venv,
        "dependency": list(command.requirements),
        "cpu": command.resources.cpu or None,
        "memory": command.resources.memory,
    }
    return already_pickled(name, command.name, methods, command.pickled_object, wishes)
