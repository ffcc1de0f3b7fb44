"""A gRPC stream of messages both ways, with a thread that reads it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Final

import grpc

from actorc import _proxies
from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

from .messages import MAX_MESSAGE_SIZE, METHOD
from .outbox import Outbox

_END_SECONDS: Final = 10.0
"""How long each thread of a stream that was ended may take to notice it, on a machine that is busy."""
_PAUSE_SECONDS: Final = 1.0
"""How long a fork waits for what is being sent; a controller that does not read may let it never be."""
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.enable_retries", 0),
    # a dead peer is noticed; a controller written in Go takes more frequent pings for an attack
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # equal channels would otherwise share one connection, also one that is already broken
    ("grpc.use_local_subchannel_pool", 1),
)


class Stream:
    """Sends what is in an outbox, and hands over what comes until the end of the stream.

    Args:
        address: ``host:port`` of the controller.
        outbox: What is sent; whoever ends the stream closes it.
        receive: Gets every message, on the thread of the stream.
        end: Gets the reason why no more messages come, on that thread.
    """

    def __init__(
        self, address: str, outbox: Outbox, receive: Callable[[pb.Message], None], end: Callable[[str], None]
    ) -> None:
        self._receive = receive
        self._end = end
        self._channel = grpc.insecure_channel(address, (*_OPTIONS, *_proxies.channel_options(address)))
        _pausing.watch(outbox)
        method = self._channel.stream_stream(
            METHOD, request_serializer=b"".join, response_deserializer=self._deserialized
        )
        self._outbox = outbox
        self._receiver: threading.Thread | None = None
        self._call = method(outbox)
        self.reader = threading.Thread(target=self._read, name="controller session", daemon=True)
        """The thread; it ends with the stream."""
        self.reader.start()

    def close(self) -> None:
        """End the stream, whose outbox is closed, at once; its threads have ended when this returns."""
        self._call.cancel()
        self._channel.close()
        # Those of gRPC are daemons: one that the end of the process stops while it holds a lock of the call would let
        # the process wait for ever, as the call takes that lock when it is collected.
        for thread in (self.reader, self._outbox.taker, self._receiver):
            if thread is not None and thread is not threading.current_thread():
                thread.join(_END_SECONDS)

    def _deserialized(self, data: bytes) -> pb.Message:
        self._receiver = threading.current_thread()
        return pb.Message.FromString(data)

    def _read(self) -> None:
        try:
            for received in self._call:
                for message in received.batch or (received,):
                    self._receive(message)
            reason = "the controller ended it"
        except grpc.RpcError as error:
            reason = _reason(error)
        # gRPC may never come back for the message after the last it took, so a fork would wait for that one in vain.
        _pausing.leave(self._outbox)
        self._end(reason)
        self._channel.close()


class _Pausing:
    """Lets a fork begin while nothing is being sent.

    A thread of gRPC's that waits until a message has been sent holds the lock of the call, also when it waits for a
    fork, and gRPC's other thread may need that lock before it can wait for the fork, too: then gRPC gives up after 5
    seconds, and what becomes of the child is undefined.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_registered = False
        self._outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()
        self._paused: list[Outbox] = []

    def watch(self, outbox: Outbox) -> None:
        """Pause an outbox at every fork from now on."""
        with self._lock:
            self._outboxes.add(outbox)
            if not self._is_registered:
                # The last hook registered is the first that is called: gRPC's own came with the first channel.
                os.register_at_fork(before=self._pause, after_in_parent=self._resume, after_in_child=self._forget)
                self._is_registered = True

    def leave(self, outbox: Outbox) -> None:
        """Pause an outbox no longer, since nothing of it is sent any more."""
        with self._lock:
            self._outboxes.discard(outbox)

    def _pause(self) -> None:
        self._lock.acquire()
        self._paused = [each for each in list(self._outboxes) if each.pause(_PAUSE_SECONDS)]

    def _resume(self) -> None:
        for each in self._paused:
            each.resume()
        self._lock.release()

    def _forget(self) -> None:
        # the streams are the parent's
        self._outboxes.clear()
        self._paused = []
        self._lock = threading.Lock()


_pausing: Final = _Pausing()


def _reason(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.Call):
        return f"gRPC says {error.code().name}, {error.details()}"
    return f"gRPC says {error}"
