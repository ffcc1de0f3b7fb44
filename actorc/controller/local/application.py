"""The session of one application: its functions, its calls, and the values these take and return."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable
from typing import Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.wire import Parts

from . import messages
from .calls import Call, CallKey
from .functions import Function
from .messages import Received, Value
from .objects import Objects
from .pool import Crew, Pool, Task

log = logging.getLogger(__name__)

_READABLE: Final = (pb.LANGUAGE_JSON, pb.LANGUAGE_PYTHON)


class UnsupportedError(Exception):
    """A command that nothing here can carry out, and that has no answer to say so in."""


class Application:
    """Carries out what a client wants, in order, without ever waiting.

    Whatever cannot be done is answered with an error at once, and nothing else is.

    Args:
        pool: Runs its calls, among those of others.
        answer: Sends a message to the client.
    """

    def __init__(self, pool: Pool, answer: Callable[[Parts], None]) -> None:
        self._pool = pool
        self._answer = answer
        self._functions: dict[str, Function] = {}
        self._crews: dict[str, Crew] = {}
        self._calls: dict[CallKey, Call] = {}
        self._of_node: dict[tuple[str, str], list[Call]] = {}
        self._is_closed = False
        self.objects = Objects()

    @property
    def call_count(self) -> int:
        """How many calls are remembered: those under way, and those whose results may be asked for."""
        return sum(map(len, self._of_node.values()))

    def handle(self, received: Received[pb.Message]) -> None:
        """Carry out one command.

        Raises:
            UnsupportedError: It is none of those that are known here.
        """
        message = received.message
        match message.type:
            case pb.FR_APPEND_ARG:
                self._append_arg(message.append_arg, received)
            case pb.FR_INVOKE:
                self._invoke(message.invoke)
            case pb.FR_REQUEST_OBJECT:
                self._request(message.request_object.id)
            case pb.FR_MARK_DAG_NODE_DONE:
                command = message.mark_dag_node_done
                self._done((command.session_id, command.node_id))
            case pb.FR_APPEND_PY_FUNC:
                self._append_function(message.append_py_func)
            case pb.FR_DAG | pb.FR_READY:
                pass  # for display elsewhere
            case _:
                raise UnsupportedError(_unsupported(message.type))

    def close(self) -> None:
        """Forget everything; what calls that still run return is dropped."""
        self._is_closed = True
        for crew in self._crews.values():
            self._pool.close(crew)
        self._functions.clear()
        self._crews.clear()
        self._calls.clear()
        self._of_node.clear()
        self.objects.clear()

    def _append_function(self, command: pb.AppendPyFunc) -> None:
        function = Function.of(command)
        if command.requirements:
            log.info("%r runs with what is installed here, its dependencies are not installed", function.name)
        before = self._functions.get(function.name)
        self._functions[function.name] = function
        if before is not None:
            self._pool.forget(self._crew(before), before)

    def _crew(self, function: Function) -> Crew:
        return self._crews.setdefault(function.venv, Crew(function.venv))

    def _call(self, key: CallKey) -> Call:
        """Return the call that arguments are being collected for."""
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = Call(key=key, function=self._functions.get(key.name))
            self._of_node.setdefault(key[:2], []).append(call)
            if call.function is None:
                self._refuse(call, _unknown(key.name, self._functions))
            elif call.function.refusal:
                self._refuse(call, call.function.refusal)
        return call

    def _append_arg(self, command: pb.AppendArg, received: Received[pb.Message]) -> None:
        call = self._call(CallKey(command.session_id, command.instance_id, command.name))
        if call.is_refused:
            return
        assert call.function is not None
        if command.param not in call.function.params:
            self._refuse(call, _surplus(call.function, command.param))
            return
        value = self._value(call, command, received)
        if value is not None:
            call.args[command.param] = value

    def _value(self, call: Call, command: pb.AppendArg, received: Received[pb.Message]) -> Value | None:
        match command.value.WhichOneof("object"):
            case "ref":
                found = self.objects.get(command.value.ref.id)
                if found is None:
                    self._refuse(call, f"the argument {command.param!r} of {command.name!r} {_GONE}")
                return found
            case "encoded":
                encoded = command.value.encoded
                if encoded.stream or encoded.language not in _READABLE:
                    self._refuse(call, f"the argument {command.param!r} of {command.name!r} {_UNREADABLE}")
                    return None
                value = received.value(encoded)
                call.owned.append(self.objects.own(value))
                return value
            case _:
                self._refuse(call, f"the argument {command.param!r} of {command.name!r} has no value; send one")
                return None

    def _invoke(self, command: pb.Invoke) -> None:
        call = self._call(CallKey(command.session_id, command.instance_id, command.name))
        del self._calls[call.key]
        if not call.is_refused and (absent := call.missing()):
            self._refuse(call, _missing(command.name, absent))
        if call.is_refused:
            self._forget(call)
            return
        assert call.function is not None
        call.task = Task(
            function=call.function,
            args=call.args,
            on_return=lambda result: self._returned(call, result),
            on_loss=lambda reason: self._lost(call, reason),
        )
        call.args = {}
        self._pool.submit(self._crew(call.function), call.task)

    def _returned(self, call: Call, result: Value | str) -> None:
        if isinstance(result, str):
            self._lost(call, result)
            return
        if self._is_closed:
            return
        self._release(call)
        if call.is_done:
            self._forget(call)
        else:
            call.owned.append(self.objects.own(result))
        self._answer(messages.returned(*call.key, result.id))

    def _lost(self, call: Call, reason: str) -> None:
        if self._is_closed:
            return
        self._forget(call)
        self._answer(messages.failed(*call.key, reason))

    def _refuse(self, call: Call, reason: str) -> None:
        call.is_refused = True
        call.args = {}
        self._release(call)
        self._answer(messages.failed(*call.key, reason))

    def _request(self, object_id: str) -> None:
        value = self.objects.get(object_id)
        self._answer(messages.found(value) if value else messages.missing(object_id, f"the object {_GONE}"))

    def _done(self, node: tuple[str, str]) -> None:
        """Let go of the calls of a node: of results, of arguments that wait for more, and of calls not yet begun."""
        for call in self._of_node.pop(node, ()):
            self._calls.pop(call.key, None)
            self._release(call)
            call.is_done = True
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


_GONE: Final = "is not held here any more, or never was; use results within the session that made them"
_UNREADABLE: Final = "is a stream or in a language that is not read here; send a pickled value or JSON"


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f"did you mean {close[0]!r}?" if close else "register it first, as a function in Python"
    return f"the function {name!r} is not registered in this session; {hint}"


def _surplus(function: Function, param: str) -> str:
    takes = f"it takes {', '.join(map(repr, function.params))}" if function.params else "it takes none"
    return f"{function.name!r} has no parameter {param!r}; {takes}"


def _missing(name: str, absent: list[str]) -> str:
    return f"{name!r} was called without {', '.join(map(repr, absent))}; send every argument before the call"


def _unsupported(number: int) -> str:
    known = number in pb.CommandType.values()
    what = pb.CommandType.Name(pb.CommandType.ValueType(number)) if known else f"the command {number}"
    return f"this controller runs functions in Python only and cannot carry out {what}; use ignis for it"
