"""The calls of a session: sent once the platform can bear them, and over when they are answered or their time is.

Sends by what it is given to send with, and waits for nothing. Not safe to use from several threads at once: the session
has its lock held, and completes the futures of calls once it has let go of that.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from . import messages
from .barriers import Marks
from .call_deadlines import Deadlines
from .definition import Definition
from .messages import Argument
from .platform_names import wire_name
from .remote_objects import ObjectDefinition
from .remote_values import CallKey, RemoteValue
from .replicas import Generation, Replicas
from .timeouts import Timeouts


@dataclass(slots=True, kw_only=True, eq=False)
class Function:
    """A function of a session, its pickle, and its replicas."""

    definition: Definition
    pickled: bytes
    replicas: Replicas[Call]
    whole: Generation
    """What stands for all replicas where nothing need be counted."""
    has_answered: bool = False
    """Whether a call of it has ever ended."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A call, until it is over on the platform."""

    key: CallKey
    function: Function
    arguments: Mapping[str, Argument]
    result: Future[RemoteValue] = field(default_factory=Future)
    name: str = ""
    """What its function is called on the platform; empty until it was sent."""
    marks: int = 0
    """How many marks were sent before it."""


class Dispatch:
    """Calls under way and calls that wait for a replica.

    Args:
        send: Sends messages, which nobody else's come between.
        timeouts: How long a definition and a call may take.
        limits: What may last how long; calls are put into it and taken out.

    Attributes:
        is_ours: Whether the controller is the embedded one, which queues calls, ends those that do not return, and
            replaces what they cost. So calls go out at once, under the names of their functions.
    """

    def __init__(self, send: Callable[..., None], timeouts: Timeouts, limits: Deadlines[object]) -> None:
        self.is_ours = False
        self.marks: Marks[Function] = Marks()
        self._send = send
        self._timeouts = timeouts
        self._limits = limits
        self._tag = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._expected: dict[CallKey, Call] = {}
        self._sent: dict[CallKey, Call] = {}

    def add(self, key: CallKey, function: Function, arguments: Mapping[str, Argument], now: float) -> Call:
        """Send a call, now or when there is a replica for it."""
        call = Call(key=key, function=function, arguments=arguments)
        self._expected[key] = call
        if self.is_ours:
            self._transmit(call, function.whole, now)
        else:
            function.replicas.want(call)
            self._begin(function, now)
        return call

    def finish(self, key: CallKey, *, has_failed: bool, now: float) -> Call | None:
        """Take the answer to what the platform knows as `key`, and return the call if anybody waits for it."""
        call = self._sent.pop(key, None)
        if call is None:
            return None
        self._heard(call, now)
        is_expected = self._forget(call)
        if has_failed:
            call.function.replicas.bury(call)
        else:
            call.function.replicas.end(call)
        self._begin(call.function, now)
        return call if is_expected else None

    def expire(self, call: Call, now: float) -> bool:
        """Take it that a call whose time is over has lost its replica; say whether anybody waits for it."""
        is_expected = self._forget(call)
        call.function.replicas.lose(call)
        self._begin(call.function, now)
        return is_expected

    def release(self, key: CallKey) -> Call | None:
        """Forget who waits for a call, and return the call if anybody did; one that was not sent never will be."""
        call = self._expected.pop(key, None)
        if call is None or not call.function.replicas.give_up(call):
            self._send(messages.done(key))
        return call

    def mark(self, function: Function | None, now: float) -> None:
        """Have the platform say when it has dealt with what was sent; with a definition it may take its time."""
        self._send(messages.append_data())
        self.marks.put(function, now + self._timeouts.definition)
        if function is not None:
            self._limits.hold()

    def take_mark(self, now: float) -> None:
        """Take the answer to a mark."""
        self.marks.answer()
        self._resume(now)

    def close(self) -> list[Call]:
        """Forget everything and return the calls that somebody waits for."""
        calls = list(self._expected.values())
        self._expected.clear()
        self._sent.clear()
        return calls

    def seconds(self, function: Function) -> float:
        """Return how long a call of a function may take."""
        return self._timeouts.of_call(function.definition.timeout)

    def _begin(self, function: Function, now: float) -> None:
        while begun := function.replicas.begin():
            call, generation = begun
            self._transmit(call, generation, now)
            self._limits.begin(call, self.seconds(function), now)

    def _transmit(self, call: Call, generation: Generation, now: float) -> None:
        if not generation.name:
            self._define(call.function, generation, now)
        of_object = isinstance(call.function.definition, ObjectDefinition)
        call.name, call.marks = call.key.function if of_object else generation.name, self.marks.sent
        self._sent[_wire_key(call)] = call
        self._send(*messages.call(call.key, call.name, call.arguments, of_object=of_object))
        call.arguments = {}

    def _define(self, function: Function, generation: Generation, now: float) -> None:
        definition = function.definition
        timeout = definition.timeout or self._timeouts.call
        if isinstance(definition, ObjectDefinition):
            generation.name = definition.key
            self._send(messages.append_object(definition, timeout, function.pickled))
        else:
            name = definition.name
            generation.name = name if self.is_ours else wire_name(name, f"{self._tag}-{next(self._numbers)}")
            replicas, pickled = generation.replicas, function.pickled
            self._send(messages.append_function(definition, generation.name, replicas, timeout, pickled))
        if not self.is_ours and self.marks.are_answered:
            self.mark(function, now)

    def _heard(self, call: Call, now: float) -> None:
        call.function.has_answered = True
        self.marks.overtake(call.marks)
        self._resume(now)

    def _resume(self, now: float) -> None:
        if self.marks.oldest() is None:
            self._limits.resume(now)

    def _forget(self, call: Call) -> bool:
        """Forget a call, and say whether anybody waited for it, whose future is then nobody else's to complete."""
        self._limits.end(call)
        if self._expected.get(call.key) is not call:
            return False
        del self._expected[call.key]
        return True


def new_function(definition: Definition, pickled: bytes) -> Function:
    """Return a function that was not sent yet."""
    count = definition.replicas
    return Function(
        definition=definition, pickled=pickled, replicas=Replicas(count), whole=Generation(replicas=count, free=count)
    )


def _wire_key(call: Call) -> CallKey:
    return CallKey(session_id=call.key.session_id, instance_id=call.key.instance_id, function=call.name)
