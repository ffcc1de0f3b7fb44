"""The calls of a session: sent when a replica is free, and ended by an answer or at their deadline.

It sends through a function it is given, and never blocks. Not thread-safe: the session calls it with its lock held,
and completes the futures of calls only after it has released that lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import ObjectDefinition
from actorc.controller.client.remote_references import CallKey, RemoteValue
from actorc.controller.client.timeouts import Timeouts

from . import messages
from .barriers import Barriers
from .call_deadlines import Deadlines
from .function_registration import Registration
from .messages import Argument
from .replicas import Generation, Replicas


@dataclass(slots=True, kw_only=True, eq=False)
class Function:
    """A function of a session, with its pickle and its replicas."""

    definition: Definition
    pickled: bytes
    replicas: Replicas[Call]
    whole: Generation
    """The generation used for every call where replicas need not be counted."""
    has_answered: bool = False
    """Whether any call of it has ended."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A call, until it has ended on the platform."""

    key: CallKey
    function: Function
    arguments: Mapping[str, Argument]
    result: Future[RemoteValue] = field(default_factory=Future)
    name: str = ""
    """The name of its function on the platform; empty until it is sent."""
    barriers: int = 0
    """Number of barriers sent before it."""


class Dispatch:
    """The calls under way and those that wait for a replica.

    Args:
        send: Sends the given messages in one piece; no other thread's messages come between them.
        timeouts: Limits for a definition and a call.
        deadlines: The deadlines of the session; calls are added to it and removed.

    Attributes:
        is_ours: Whether the controller is the embedded one, which queues calls, ends overdue ones and replaces lost
            processes. Then calls are sent at once, and functions keep their names.
    """

    def __init__(self, send: Callable[..., None], timeouts: Timeouts, deadlines: Deadlines[object]) -> None:
        self.is_ours = False
        self.barriers: Barriers[Function] = Barriers()
        self._send = send
        self._timeouts = timeouts
        self._deadlines = deadlines
        self._registration = Registration(send, timeouts.call)
        self._expected: dict[CallKey, Call] = {}
        self._sent: dict[CallKey, Call] = {}

    def add(self, key: CallKey, function: Function, arguments: Mapping[str, Argument], now: float) -> Call:
        """Send a call now, or later when a replica for it is free."""
        call = Call(key=key, function=function, arguments=arguments)
        self._expected[key] = call
        if self.is_ours:
            self._transmit(call, function.whole, now)
        else:
            function.replicas.enqueue(call)
            self._begin(function, now)
        return call

    def finish(self, key: CallKey, *, has_failed: bool, now: float) -> Call | None:
        """Process the answer to the call with the wire key `key`; return the call if a caller waits for it."""
        call = self._sent.pop(key, None)
        if call is None:
            return None
        # the replica is accounted for even if no caller waits any more, else it would count as taken for ever
        self._record_answer(call, now)
        is_expected = self._remove(call)
        if has_failed:
            call.function.replicas.discard(call)
        else:
            call.function.replicas.end(call)
        self._begin(call.function, now)
        return call if is_expected else None

    def expire(self, call: Call, now: float) -> bool:
        """Count the replica of an overdue call as lost; return whether a caller waits for it."""
        is_expected = self._remove(call)
        call.function.replicas.lose(call)
        self._begin(call.function, now)
        return is_expected

    def release(self, key: CallKey) -> Call | None:
        """Drop the caller's interest in a call; return the call if it had one. A call not yet sent is never sent.

        The platform is notified unless the call was never sent, so that it frees the result.
        """
        call = self._expected.pop(key, None)
        if call is None or not call.function.replicas.dequeue(call):
            self._send(messages.done(key))
        return call

    def send_barrier(self, function: Function | None, now: float) -> None:
        """Send a barrier, which the platform answers once it has processed all before it, such as a definition."""
        self._send(messages.append_data())
        self.barriers.put(function, now + self._timeouts.definition)
        # the platform works on a definition before anything behind it, so the time of calls stops meanwhile
        if function is not None:
            self._deadlines.hold()

    def take_barrier(self, now: float) -> None:
        """Process the answer to a barrier."""
        self.barriers.answer()
        self._resume(now)

    def close(self) -> list[Call]:
        """Remove all calls and return those that a caller waits for."""
        calls = list(self._expected.values())
        self._expected.clear()
        self._sent.clear()
        return calls

    def seconds(self, function: Function) -> float:
        """Return the seconds that a call of a function may take."""
        return self._timeouts.of_call(function.definition.timeout)

    def _begin(self, function: Function, now: float) -> None:
        while begun := function.replicas.begin():
            call, generation = begun
            self._transmit(call, generation, now)
            self._deadlines.begin(call, self.seconds(function), now)

    def _transmit(self, call: Call, generation: Generation, now: float) -> None:
        # defined by its first call, so that the definition is in front of it on the stream
        if not generation.name:
            self._define(call.function, generation, now)
        of_object = isinstance(call.function.definition, ObjectDefinition)
        call.name, call.barriers = call.key.function if of_object else generation.name, self.barriers.sent
        self._sent[_wire_key(call)] = call
        self._send(*messages.call(call.key, call.name, call.arguments, of_object=of_object))
        call.arguments = {}

    def _define(self, function: Function, generation: Generation, now: float) -> None:
        self._registration.register(function.definition, function.pickled, generation, keep_name=self.is_ours)
        # the embedded controller needs none: it answers the calls of a function that it cannot define with the reason
        if not self.is_ours and self.barriers.are_answered:
            self.send_barrier(function, now)

    def _record_answer(self, call: Call, now: float) -> None:
        # an answer behind an open barrier shows that this platform does not answer barriers
        call.function.has_answered = True
        self.barriers.overtake(call.barriers)
        self._resume(now)

    def _resume(self, now: float) -> None:
        if self.barriers.oldest() is None:
            self._deadlines.resume(now)

    def _remove(self, call: Call) -> bool:
        """Remove a call; return whether a caller waited for it, so that the caller alone completes its future."""
        self._deadlines.end(call)
        # another call may have the key by now, after a release
        if self._expected.get(call.key) is not call:
            return False
        del self._expected[call.key]
        return True


def new_function(definition: Definition, pickled: bytes) -> Function:
    """Return a function of which nothing has been sent."""
    count = definition.replicas
    return Function(
        definition=definition, pickled=pickled, replicas=Replicas(count), whole=Generation(replicas=count, free=count)
    )


def _wire_key(call: Call) -> CallKey:
    return CallKey(session_id=call.key.session_id, instance_id=call.key.instance_id, function=call.name)
