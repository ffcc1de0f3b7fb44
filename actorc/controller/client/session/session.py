"""One session with a controller: a stream of messages both ways, and the callers that wait for answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from actorc import _http_proxies
from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.alarm import Alarm
from actorc.controller.client.address import Destination
from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import ObjectDefinition
from actorc.controller.client.remote_references import CallKey, RemoteValue
from actorc.controller.client.timeouts import Timeouts
from actorc.controller.errors import ControllerError, ControllerUnavailableError
from actorc.controller.protocol.value_codec import Encoded

from . import messages
from .application_registration import ApplicationRegistration
from .call_deadlines import Deadlines
from .dispatch import Call, Dispatch, Function, new_function
from .failure_reports import failure, late_call, late_definition, late_value, stream_for
from .grpc_stream import Stream
from .message_size import check_size
from .messages import Argument
from .outbox import Outbox
from .pending_fetches import Fetch, PendingFetches


class Session:
    """A registered application on one stream. Thread-safe; it cannot be used again after the stream has ended.

    No call is sent before the platform has a replica for it, and every wait ends within its `timeouts`.

    Args:
        destination: The controller.
        app_id: The id to register; no other session may have it.
        timeouts: How long to wait for each kind of answer.

    Raises:
        ControllerUnavailableError: There is no controller, or it does not take the session.
    """

    def __init__(self, destination: Destination, app_id: str, timeouts: Timeouts) -> None:
        self._destination = destination
        self._timeouts = timeouts
        # guards the dispatch, the fetches and their deadlines; never held while a future is completed, because
        # callbacks of futures may call this session
        self._lock = threading.Lock()
        # separate, because pickling a function may take long and run the user's code, which must not stop the reader
        # thread
        self._defining = threading.Lock()
        self._defined: dict[str, Function] = {}
        self._outbox = Outbox()
        self._deadlines: Deadlines[object] = Deadlines()
        self._dispatch = Dispatch(self._outbox.put, timeouts, self._deadlines)
        self._fetches = PendingFetches(self._outbox.put, timeouts.fetch, self._deadlines)
        self._alarm = Alarm(self._expire, "controller deadlines")
        self._end: str | None = None
        self._registration = ApplicationRegistration(destination, timeouts.session)
        self._is_heard = threading.Event()
        self._outbox.put(messages.register(app_id))
        self._stream = Stream(destination.address, self._outbox, self._receive, self._finish)
        try:
            self._registration.wait()
        except BaseException:
            # a session that was not acknowledged must not keep its stream and threads
            self.close()
            raise

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._end is not None

    def is_heard(self, seconds: float) -> bool:
        """Wait until the application behind the session has answered; return False if it has not within `seconds`."""
        return self._is_heard.wait(seconds)

    def start(self, definition: Definition, call: CallKey, arguments: dict[str, Argument]) -> Future[RemoteValue]:
        """Start a call of a function with all of its arguments; it is sent once a replica is free.

        Returns:
            The pending result; it is cancelled when the call is released before it has ended.

        Raises:
            PicklingError: The function cannot be pickled.
            MessageTooLargeError: The function or an argument cannot be sent; nothing was.
            ControllerUnavailableError: The stream has ended, or an argument belongs to one that has.
        """
        # checked before any is sent: ignis takes a replica for a call at its first argument, and would never free it
        for name, argument in arguments.items():
            self._check_argument(call, name, argument)
        function = self._function(definition)
        with self._lock:
            self._check_open(call.function)
            started = self._dispatch.add(call, function, arguments, time.monotonic())
            self._set_alarm()
        return started.result

    def fetch(self, value: RemoteValue) -> Future[Encoded]:
        """Ask for the value of a result of this session.

        Raises:
            ControllerUnavailableError: The stream has ended, and with it the result is gone.
        """
        with self._lock:
            self._check_open(value.call.function)
            asked = self._fetches.ask(value, time.monotonic())
            self._set_alarm()
        return asked

    def release(self, key: CallKey) -> None:
        """Release the result of a call that nothing needs any more, whether the call has ended or not."""
        with self._lock:
            call = None if self.is_over else self._dispatch.release(key)
        if call is not None:
            # after the lock is released, since cancelling runs callbacks
            call.result.cancel()

    def abandon(self) -> None:
        """End the stream at the exit of the process; threads that still wait are not woken, so they print nothing."""
        with self._lock:
            # emptied before the stream ends, so that no waiting thread gets an error to print
            self._dispatch.close()
            self._fetches.close()
        self.close()

    def close(self) -> None:
        """End the stream; everything that waits for an answer fails."""
        self._finish("this process has closed it")
        self._stream.close()

    def _function(self, definition: Definition) -> Function:
        """Return the function of this session; concurrent first calls of it pickle it once."""
        with self._defining:
            key = definition.key if isinstance(definition, ObjectDefinition) else definition.name
            function = self._defined.get(key)
            if function is None or function.definition is not definition:
                pickled = definition.pickled()
                check_size(pickled, f"the function {definition.name!r}", definition.name)
                function = self._defined[key] = new_function(definition, pickled)
            return function

    def _check_argument(self, call: CallKey, name: str, argument: Argument) -> None:
        if isinstance(argument, Encoded):
            check_size(argument.data, f"the argument {name!r} of {call.function!r}", call.function)
        elif argument.connection is not self:
            raise self._error(
                f"the result of {argument.call.function!r} is gone with the connection it came over; run the workflow "
                "again",
                call.function,
            )

    def _check_open(self, function: str) -> None:
        if self._end is not None:
            raise self._lost(function)

    def _set_alarm(self) -> None:
        oldest = self._dispatch.barriers.oldest()
        self._alarm.set(self._deadlines.next() if oldest is None else oldest[1])

    def _expire(self, now: float) -> float | None:
        """Fail calls and fetches that are overdue at `now`, and return the next deadline."""
        with self._lock:
            oldest = self._dispatch.barriers.oldest()
            late = [each for each in self._deadlines.due(now) if self._is_expected(each, now)]
            # behind an open definition the deadlines are held, so only its own deadline counts
            following = self._deadlines.next() if oldest is None else oldest[1]
        for each in late:
            self._fail_late(each)
        if oldest is not None and oldest[1] <= now:
            self._give_up(oldest[0])
            return None
        return following

    def _is_expected(self, late: object, now: float) -> bool:
        """Record that the time of a call or fetch is over; return whether a caller waits for it."""
        if isinstance(late, Call):
            return self._dispatch.expire(late, now)
        return isinstance(late, Fetch) and self._fetches.take(late.result.id) is not None

    def _fail_late(self, late: object) -> None:
        if isinstance(late, Call):
            late.result.set_exception(late_call(late, self._dispatch.seconds(late.function)))
        elif isinstance(late, Fetch):
            late.value.set_exception(late_value(late, self._fetches.seconds))

    def _give_up(self, function: Function) -> None:
        """End the session, because the platform processes nothing behind a definition that it has not finished."""
        seconds, name = self._timeouts.definition, function.definition.name
        self._finish(
            f"this process ended it, as {name!r} was not made ready there within {seconds:g} seconds",
            lambda call: late_definition(call, seconds) if call.function is function else self._lost(call.key.function),
        )
        self._stream.close()

    def _receive(self, message: pb.Message) -> None:
        if message.type == pb.BK_RETURN_RESULT:
            self._take_result(message.return_result)
        elif message.type == pb.BK_RESPONSE_OBJECT:
            self._take_object(message.response_object)
        elif message.type == pb.ACK and not self._registration.is_answered:
            self._take_acknowledgement(message.ack)

    def _take_acknowledgement(self, ack: pb.Ack) -> None:
        self._outbox.batches = self._dispatch.is_ours = ack.batches
        if ack.batches or ack.error:
            self._is_heard.set()
        else:
            # only the answer to a barrier shows that the application behind a session of ignis is alive, see
            # `Connection`
            with self._lock:
                self._dispatch.send_barrier(None, time.monotonic())
        self._registration.take(ack.error)

    def _take_result(self, result: pb.ReturnResult) -> None:
        self._is_heard.set()
        if messages.is_barrier(result):
            with self._lock:
                self._dispatch.take_barrier(time.monotonic())
                self._set_alarm()
            return
        key = CallKey(session_id=result.session_id, instance_id=result.instance_id, function=result.name)
        is_value = result.WhichOneof("result") == "value" and result.value.WhichOneof("object") == "ref"
        with self._lock:
            call = self._dispatch.finish(key, has_failed=not is_value, now=time.monotonic())
            self._set_alarm()
        # released, expired, or never ours: the answer is of no use, and its replica has been accounted for
        if call is None:
            return
        if is_value:
            reference = result.value.SerializeToString()
            value = RemoteValue(id=result.value.ref.id, reference=reference, call=call.key, connection=self)
            call.result.set_result(value)
        else:
            call.result.set_exception(failure(call, result.error))

    def _take_object(self, response: pb.ResponseObject) -> None:
        with self._lock:
            fetch = self._fetches.take(response.id)
        if fetch is None:
            return
        if response.error:
            fetch.value.set_exception(
                ControllerError(f"the controller did not hand out a result; it says {response.error}")
            )
        elif response.value.stream:
            fetch.value.set_exception(stream_for(fetch))
        else:
            fetch.value.set_result(Encoded(data=response.value.data, language=response.value.language))

    def _finish(self, reason: str, error: Callable[[Call], ControllerError] | None = None) -> None:
        with self._lock:
            # the first reason is the cause; later ones only follow from it
            self._end = self._end or reason
            self._outbox.close()
            self._alarm.stop()
            calls, fetches = self._dispatch.close(), self._fetches.close()
        # after the lock is released, since completing a future runs its callbacks, which may call this session
        for call in calls:
            call.result.set_exception(error(call) if error else self._lost(call.key.function))
        for fetch in fetches:
            fetch.value.set_exception(self._lost(fetch.result.call.function))
        # nothing else wakes the threads that wait for the first answer or the registration
        self._is_heard.set()
        if not self._registration.is_answered:
            self._registration.fail(self._unreachable(reason))

    def _unreachable(self, reason: str) -> ControllerUnavailableError:
        proxy = _http_proxies.advice(self._destination.address)
        return self._error(
            f"the controller cannot be reached at {self._destination.shown} because {reason}; start one with "
            "'lucas-storage controller', or name another in IGNIS_ADDR" + (f"; {proxy}" if proxy else "")
        )

    def _lost(self, function: str | None = None) -> ControllerUnavailableError:
        during = f" during a call of {function!r}" if function else ""
        return self._error(
            f"the connection to the controller was lost{during}, and what it did is unknown; it was at "
            f"{self._destination.shown}, and {self._end}. The next run connects again",
            function,
        )

    def _error(self, message: str, function: str | None = None) -> ControllerUnavailableError:
        return ControllerUnavailableError(
            message, address=self._destination.address, origin=self._destination.origin, function=function
        )
