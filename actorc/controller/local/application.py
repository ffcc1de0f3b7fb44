"""The session of one application: its functions, its calls, and their arguments and results."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.protocol.protobuf_fields import Parts

from . import definition_checks, messages, rejections
from .call_results import CallResults
from .calls import Call, CallKey
from .functions import Callee, Function, class_of, foreign
from .messages import Received, Value
from .pool_state import Task, WorkerGroup
from .value_store import ValueStore
from .worker_pool import Pool

log = logging.getLogger(__name__)

_READABLE: Final = (pb.LANGUAGE_JSON, pb.LANGUAGE_PYTHON)


class UnsupportedError(Exception):
    """A command that this controller cannot carry out and whose kind has no error answer."""


class Application:
    """Carries out the commands of a client, in order, without blocking. For the event loop only.

    Every command that cannot be carried out is answered with an error at once, and with nothing else.

    Args:
        pool: Runs its calls, next to those of other applications.
        answer: Queues a message for the client.
        path: Where workers find modules, after those of this Python.
    """

    def __init__(self, pool: Pool, answer: Callable[[Parts], None], path: Sequence[str] = ()) -> None:
        self._pool = pool
        self._answer = answer
        self._path = path
        self._functions: dict[str, Function] = {}
        self._objects_with_methods: dict[str, Function] = {}
        self._groups: dict[tuple[str, bool], WorkerGroup] = {}
        self._calls: dict[CallKey, Call] = {}
        self._of_node: dict[tuple[str, str], list[Call]] = {}
        self._results = CallResults()
        self._session_values: set[str] = set()
        self._is_closed = False
        # the platform names the store of each result; the application's id would do, but is a secret
        self._store = f"store-{uuid.uuid4()}"
        self.objects = ValueStore()

    @property
    def call_count(self) -> int:
        """Number of calls remembered: those under way, and those whose results may still be fetched."""
        return sum(map(len, self._of_node.values()))

    def handle(self, received: Received[pb.Message]) -> None:
        """Carry out one command.

        Raises:
            UnsupportedError: The command is unknown or not supported.
        """
        message = received.message
        match message.type:
            case pb.FR_APPEND_ARG:
                arg = message.append_arg
                self._append(CallKey(arg.session_id, arg.instance_id, arg.name), arg.param, arg.value, received)
            case pb.FR_APPEND_CLASS_METHOD_ARG:
                of = message.append_class_method_arg
                self._append(CallKey(of.session_id, of.instance_id, of.method_name), of.param, of.value, received)
            case pb.FR_INVOKE:
                command = message.invoke
                self._invoke(CallKey(command.session_id, command.instance_id, command.name))
            case pb.FR_REQUEST_OBJECT:
                self._request(message.request_object.id)
            case pb.FR_APPEND_DATA:
                self._keep(message.append_data, received)
            case pb.FR_MARK_DAG_NODE_DONE:
                self._done((message.mark_dag_node_done.session_id, message.mark_dag_node_done.node_id))
            case pb.FR_DAG | pb.FR_READY:
                pass  # only displayed by other controllers
            case _:
                self._define(message)

    def close(self) -> None:
        """Release everything; results of calls that still run are dropped."""
        self._is_closed = True
        for group in self._groups.values():
            self._pool.close(group)
        for each in (self._functions, self._objects_with_methods, self._groups, self._calls, self._of_node):
            each.clear()
        self._results.clear()
        self._session_values.clear()
        self.objects.clear()

    def _define(self, message: pb.Message) -> None:
        match message.type:
            case pb.FR_APPEND_PY_FUNC:
                command = message.append_py_func
                self._register(self._functions, Function.of(command, self._refusal(command, command.name)))
            case pb.FR_APPEND_PY_CLASS:
                of = message.append_py_class
                shown = class_of([method.name for method in of.methods]) or of.name
                self._register(self._objects_with_methods, Function.of_object(of, self._refusal(of, shown)))
            case pb.FR_APPEND_GO:
                self._register(self._functions, foreign(message.append_go.name, "written in Go"))
            case pb.FR_APPEND_UNIKERNEL:
                self._register(self._functions, foreign(message.append_unikernel.name, "a unikernel"))
            case _:
                raise UnsupportedError(rejections.unsupported(message.type))

    def _refusal(self, command: definition_checks.Definition, shown: str) -> str:
        """Return why a function cannot be called; a definition has no answer, so its calls get the reason."""
        reason = definition_checks.refusal(command, shown, self._path)
        for each in filter(None, (reason, definition_checks.excess(command, shown))):
            log.warning("%s", each)
        return reason

    def _register(self, registry: dict[str, Function], function: Function) -> None:
        before = registry.get(function.name)
        registry[function.name] = function
        if before is not None:
            self._pool.forget(self._group(before), before)

    def _group(self, function: Function) -> WorkerGroup:
        kind = (function.venv, function.keeps_state)
        return self._groups.setdefault(kind, WorkerGroup(function.venv))

    def _call(self, key: CallKey) -> Call:
        """Return the call whose arguments are being collected; a new one if there is none."""
        call = self._calls.get(key)
        if call is None:
            found = self._callee(key)
            callee = None if isinstance(found, str) else found
            call = self._calls[key] = Call(key=key, callee=callee)
            self._of_node.setdefault(key[:2], []).append(call)
            if isinstance(found, str):
                self._refuse(call, found)
            elif found.function.refusal:
                self._refuse(call, found.function.refusal)
        return call

    def _callee(self, key: CallKey) -> Callee | str:
        """Return the function or method a call names, or why there is none."""
        # calls of an object carry its name in the place where calls of functions carry that of the call
        known = self._objects_with_methods.get(key.instance_id) or self._functions.get(key.name)
        if known is None:
            return rejections.unknown(key.name, self._functions)
        return known.callee(key.name) or rejections.unknown_method(key.name, known)

    def _append(self, key: CallKey, param: str, data: pb.Data, received: Received[pb.Message]) -> None:
        call = self._call(key)
        if call.is_refused:
            return
        assert call.callee is not None
        if param not in call.callee.params:
            self._refuse(call, rejections.surplus(key.name, call.callee, param))
            return
        value = self._value(call, param, data, received)
        if value is not None:
            call.args[param] = value

    def _value(self, call: Call, param: str, data: pb.Data, received: Received[pb.Message]) -> Value | None:
        name = call.key.name
        match data.WhichOneof("object"):
            case "ref":
                found = self.objects.get(data.ref.id)
                if found is None:
                    self._refuse(call, f"the argument {param!r} of {name!r} {rejections.GONE}")
                return found
            case "encoded":
                if not _is_readable(data.encoded):
                    self._refuse(call, f"the argument {param!r} of {name!r} {rejections.UNREADABLE}")
                    return None
                value = received.value(data.encoded)
                call.owned.append(self.objects.own(value))
                return value
            case _:
                self._refuse(call, rejections.no_value(name, param, self._results.failure()))
                return None

    def _invoke(self, key: CallKey) -> None:
        call = self._call(key)
        del self._calls[key]
        if not call.is_refused and (absent := call.missing()):
            self._refuse(call, rejections.missing(key.name, absent))
        if call.is_refused:
            self._forget(call)
            return
        assert call.callee is not None
        call.task = Task(
            function=call.callee.function,
            method=call.callee.method,
            args=call.args,
            on_return=lambda result: self._returned(call, result),
            on_loss=lambda reason: self._lost(call, reason),
        )
        # the task owns the arguments from here on, and drops them once they are sent
        call.args = {}
        self._pool.submit(self._group(call.callee.function), call.task)

    def _returned(self, call: Call, result: Value | str) -> None:
        if isinstance(result, str):
            self._lost(call, result)
            return
        if self._is_closed:
            return
        # the arguments are no longer needed, and may be large
        self._release(call)
        if call.is_done:
            self._forget(call)
        else:
            call.owned.append(self.objects.own(result))
            self._results.returned(call.key, result.id)
        self._answer(messages.returned(*call.key, result.id, self._store))

    def _lost(self, call: Call, reason: str) -> None:
        if self._is_closed:
            return
        self._forget(call)
        self._fail(call, reason)

    def _refuse(self, call: Call, reason: str) -> None:
        call.is_refused = True
        call.args = {}
        self._release(call)
        self._fail(call, reason)

    def _fail(self, call: Call, reason: str) -> None:
        self._results.failed(call.key, reason)
        self._answer(messages.failed(*call.key, reason))

    def _request(self, object_id: str) -> None:
        value = self.objects.get(self._results.object_id(object_id))
        if value is not None:
            self._answer(messages.found(object_id, value))
            return
        failure = self._results.failure(object_id)
        reason = f"the call failed; {failure}" if failure else f"the object {rejections.GONE}"
        self._answer(messages.missing(object_id, reason))

    def _keep(self, command: pb.AppendData, received: Received[pb.Message]) -> None:
        """Keep a value until the session ends, replacing another one with its id; the answer is like that of a call."""
        if not _is_readable(command.object):
            reason = f"the data {command.object.id!r} {rejections.UNREADABLE}"
            self._answer(messages.failed(command.session_id, "", command.object.id, reason))
            return
        value = received.value(command.object)
        # owned before the former value is released, so that the entry of an id never vanishes in between
        self.objects.own(value)
        if value.id in self._session_values:
            self.objects.release(value.id)
        self._session_values.add(value.id)
        self._answer(messages.returned(command.session_id, "", value.id, value.id, self._store))

    def _done(self, node: tuple[str, str]) -> None:
        """Release the calls of a node: their results, arguments that were collected, and calls not yet begun."""
        for call in self._of_node.pop(node, ()):
            self._calls.pop(call.key, None)
            self._release(call)
            self._results.forget(call.key)
            call.is_done = True
            # a running call goes on, since its process may run others; one not yet begun is answered here, because the
            # pool drops it silently
            if call.task is not None and not call.task.has_begun:
                call.task.is_given_up = True
                self._answer(messages.failed(*call.key, f"the call of {call.key.name!r} was given up before it began"))

    def _forget(self, call: Call) -> None:
        self._release(call)
        node = call.key[:2]
        if call in (siblings := self._of_node.get(node, [])):
            siblings.remove(call)
            if not siblings:
                del self._of_node[node]

    def _release(self, call: Call) -> None:
        for object_id in call.owned:
            self.objects.release(object_id)
        call.owned.clear()


def _is_readable(encoded: pb.EncodedObject) -> bool:
    return not encoded.stream and encoded.language in _READABLE
