"""One connection to a controller: a stream of messages both ways, and who waits for which of them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

import grpc

from actorc import _proxies
from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

from . import messages
from .address import Destination
from .definition import Definition
from .encoding import Encoded
from .errors import ControllerError, ControllerUnavailableError, MessageTooLargeError, RemoteFunctionError
from .messages import MAX_MESSAGE_SIZE, METHOD, Argument
from .outbox import Outbox
from .values import CallKey, RemoteValue

_ACK_SECONDS: Final = 10.0
_END_SECONDS: Final = 1.0
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.enable_retries", 0),
    # a dead peer is noticed; a controller written in Go takes more frequent pings for an attack
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # equal channels would otherwise share one connection, also one that is already broken
    ("grpc.use_local_subchannel_pool", 1),
)


class Session:
    """A registered application on one stream. Safe to use from many threads; when the stream ends, it is over.

    Args:
        destination: Where the controller is.
        app_id: What to register as; no other session may have it.

    Raises:
        ControllerUnavailableError: There is no controller, or it does not take the session.
    """

    def __init__(self, destination: Destination, app_id: str) -> None:
        self._destination = destination
        self._lock = threading.Lock()
        self._defining = threading.Lock()
        self._defined: dict[str, Definition] = {}
        self._results: dict[CallKey, Future[RemoteValue]] = {}
        self._objects: dict[str, Future[Encoded]] = {}
        self._end: str | None = None
        self._acknowledged: Future[str] = Future()
        self._outbox = Outbox()
        options = (*_CHANNEL_OPTIONS, *_proxies.channel_options(destination.address))
        self._channel = grpc.insecure_channel(destination.address, options)
        method = self._channel.stream_stream(
            METHOD, request_serializer=b"".join, response_deserializer=pb.Message.FromString
        )
        self._outbox.put(messages.register(app_id))
        self._stream = method(self._outbox)
        self._reader = threading.Thread(target=self._read, name="controller session", daemon=True)
        self._reader.start()
        self._await_acknowledgement()

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._end is not None

    def define(self, definition: Definition) -> None:
        """Register a function, unless it is registered here already.

        Raises:
            PicklingError: It cannot be pickled.
            MessageTooLargeError: Its pickle cannot be sent.
            ControllerUnavailableError: The stream has ended.
        """
        # Calls of several threads begin with the same function, which is pickled once.
        with self._defining:
            if self._defined.get(definition.name) is definition:
                return
            message = messages.append_function(definition, definition.pickled())
            _check_size(message, f"the function {definition.name!r}", definition.name)
            with self._lock:
                self._check_open(definition.name)
                self._outbox.put(message)
            self._defined[definition.name] = definition

    def start(self, call: CallKey, arguments: dict[str, Argument]) -> Future[RemoteValue]:
        """Start a call of a registered function; all its parameters are given.

        Returns:
            The result to come; it is cancelled when the call is released before it has ended.

        Raises:
            MessageTooLargeError: An argument cannot be sent; nothing was.
            ControllerUnavailableError: The stream has ended, or an argument belongs to one that has.
        """
        outgoing = [self._argument(call, name, argument) for name, argument in arguments.items()]
        future: Future[RemoteValue] = Future()
        with self._lock:
            self._check_open(call.function)
            self._results[call] = future
            self._outbox.put(*outgoing, messages.invoke(call))
        return future

    def fetch(self, value: RemoteValue) -> Future[Encoded]:
        """Ask for the value of a result of this session.

        Raises:
            ControllerUnavailableError: The stream has ended, and with it the result is gone.
        """
        with self._lock:
            self._check_open(value.call.function)
            future = self._objects.get(value.id)
            if future is None:
                future = self._objects[value.id] = Future()
                self._outbox.put(messages.request(value))
        return future

    def release(self, call: CallKey) -> None:
        """Say that nobody needs the result of a call any more, whether it has ended or not."""
        with self._lock:
            future = self._results.pop(call, None)
        if future is not None:
            future.cancel()
        if not self.is_over:
            self._outbox.put(messages.done(call))

    def abandon(self) -> None:
        """End the stream at the end of the process; threads that still wait never hear of it, and print nothing."""
        with self._lock:
            self._results.clear()
            self._objects.clear()
        self.close()

    def close(self) -> None:
        """End the stream; whatever waits for an answer fails."""
        self._finish("this process has closed it")
        self._stream.cancel()
        self._channel.close()
        if self._reader is not threading.current_thread():
            self._reader.join(_END_SECONDS)

    def _argument(self, call: CallKey, name: str, argument: Argument) -> bytes:
        if isinstance(argument, RemoteValue) and argument.connection is not self:
            raise self._error(
                f"the result of {argument.call.function!r} is gone with the connection it came over; run the workflow "
                "again",
                call.function,
            )
        message = messages.append_argument(call, name, argument)
        _check_size(message, f"the argument {name!r} of {call.function!r}", call.function)
        return message

    def _check_open(self, function: str) -> None:
        if self._end is not None:
            raise self._lost(function)

    def _await_acknowledgement(self) -> None:
        try:
            refusal = self._acknowledged.result(_ACK_SECONDS)
        except FutureTimeoutError:
            self.close()
            raise self._error(
                f"the controller did not answer the registration within {_ACK_SECONDS:g} seconds; another process may "
                f"have the application id from {self._destination.app_id_origin}, so give this one an id of its own. "
                f"The controller is at {self._destination.shown}"
            ) from None
        except BaseException:
            self.close()
            raise
        if refusal:
            self.close()
            raise self._error(
                f"the controller did not take the session because {refusal}. The application id is from "
                f"{self._destination.app_id_origin}, and the controller is at {self._destination.shown}"
            )

    def _read(self) -> None:
        try:
            for received in self._stream:
                for message in received.batch or (received,):
                    self._receive(message)
            reason = "the controller ended it"
        except grpc.RpcError as error:
            reason = _reason(error)
        self._finish(reason)
        self._channel.close()

    def _receive(self, message: pb.Message) -> None:
        if message.type == pb.BK_RETURN_RESULT:
            self._take_result(message.return_result)
        elif message.type == pb.BK_RESPONSE_OBJECT:
            self._take_object(message.response_object)
        elif message.type == pb.ACK and not self._acknowledged.done():
            self._outbox.batches = message.ack.batches
            self._acknowledged.set_result(message.ack.error)

    def _take_result(self, result: pb.ReturnResult) -> None:
        call = CallKey(session_id=result.session_id, instance_id=result.instance_id, function=result.name)
        with self._lock:
            future = self._results.pop(call, None)
        if future is None:
            return
        if result.WhichOneof("result") == "value" and result.value.WhichOneof("object") == "ref":
            future.set_result(RemoteValue(id=result.value.ref.id, call=call, connection=self))
        else:
            future.set_exception(RemoteFunctionError.of(call.function, result.error or "it answered without a result"))

    def _take_object(self, response: pb.ResponseObject) -> None:
        with self._lock:
            future = self._objects.pop(response.id, None)
        if future is None:
            return
        if response.error:
            future.set_exception(ControllerError(f"the controller did not hand out a result; it says {response.error}"))
        else:
            future.set_result(Encoded(data=response.value.data, language=response.value.language))

    def _finish(self, reason: str) -> None:
        with self._lock:
            self._end = self._end or reason
            self._outbox.close()
            results, self._results = self._results, {}
            objects, self._objects = self._objects, {}
        for call, result in results.items():
            result.set_exception(self._lost(call.function))
        for value in objects.values():
            value.set_exception(self._lost())
        if not self._acknowledged.done():
            self._acknowledged.set_exception(self._unreachable(reason))

    def _unreachable(self, reason: str) -> ControllerUnavailableError:
        proxy = _proxies.advice(self._destination.address)
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


def _check_size(message: bytes, what: str, function: str) -> None:
    size = len(message)
    if size > MAX_MESSAGE_SIZE:
        raise MessageTooLargeError(
            f"{what} has {size / (1 << 20):,.0f} MiB, and a message carries {MAX_MESSAGE_SIZE >> 20}; with "
            "@with_storage on the functions, references are passed instead",
            size=size,
            function=function,
        )


def _reason(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.Call):
        return f"gRPC says {error.code().name}, {error.details()}"
    return f"gRPC says {error}"
