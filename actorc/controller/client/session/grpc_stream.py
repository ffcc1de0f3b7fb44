"""A bidirectional gRPC stream of messages, with a thread that reads it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Final

import grpc

from actorc import _http_proxies
from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

from .messages import MAX_MESSAGE_SIZE, METHOD
from .outbox import Outbox

_END_SECONDS: Final = 10.0
"""Seconds that each thread of an ended stream may take to stop on a busy machine."""
_PAUSE_SECONDS: Final = 1.0
"""Seconds that a fork waits for a message being sent; a controller that does not read can block it for ever."""
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.enable_retries", 0),
    # notices a dead peer; servers of grpc-go close connections that ping more often than every 5 minutes
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # channels with equal options would otherwise share a connection, even one that is already broken
    ("grpc.use_local_subchannel_pool", 1),
)


class Stream:
    """Sends the messages of an outbox, and passes on received ones until the stream ends. `close` is for any thread.

    Args:
        address: ``host:port`` of the controller.
        outbox: The messages to send; the owner of the stream closes it.
        receive: Called with every message, on the reader thread.
        end: Called with the reason why the stream ended, on the reader thread.
    """

    def __init__(
        self, address: str, outbox: Outbox, receive: Callable[[pb.Message], None], end: Callable[[str], None]
    ) -> None:
        self._receive = receive
        self._end = end
        self._channel = grpc.insecure_channel(address, (*_OPTIONS, *_http_proxies.channel_options(address)))
        # before the call begins, so that a fork can never see an outbox that sends and is not paused
        _fork_pause.add(outbox)
        method = self._channel.stream_stream(
            METHOD, request_serializer=b"".join, response_deserializer=self._deserialized
        )
        self._outbox = outbox
        self._receiver: threading.Thread | None = None
        self._call = method(outbox)
        # daemon: it waits for the controller, which may never send anything again
        self.reader = threading.Thread(target=self._read, name="controller session", daemon=True)
        """The reader thread; it ends with the stream."""
        self.reader.start()

    def close(self) -> None:
        """End the stream, whose outbox is closed, at once; returns when its threads have ended."""
        self._call.cancel()
        self._channel.close()
        # gRPC's threads are daemons: one that the interpreter's exit stops while it holds the lock of the call would
        # block the exit for ever, because the call takes that lock when it is collected.
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
        # gRPC may never ask for another message, so a fork would wait in vain for the last one to be sent.
        _fork_pause.remove(self._outbox)
        self._end(reason)
        self._channel.close()


class _ForkPause:
    """Makes forks wait while a message is being sent. Thread-safe; its methods also run in the fork hooks.

    A gRPC thread that sends a message holds the lock of the call, also while it waits for a fork, and gRPC's other
    thread may need that lock before it can wait for the fork, too: then gRPC gives up after 5 seconds, and the state of
    the child is undefined.
    """

    def __init__(self) -> None:
        # guards the outboxes, and is held during a fork: one that is added meanwhile would not be paused
        self._lock = threading.Lock()
        self._is_registered = False
        self._outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()
        self._paused: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """Pause an outbox at every fork from now on."""
        with self._lock:
            self._outboxes.add(outbox)
            if not self._is_registered:
                # The hook registered last runs first, so it must be registered after gRPC's own, which came with the
                # first channel.
                os.register_at_fork(before=self._pause, after_in_parent=self._resume, after_in_child=self._reset)
                self._is_registered = True

    def remove(self, outbox: Outbox) -> None:
        """Stop pausing an outbox, since none of its messages is sent any more."""
        with self._lock:
            self._outboxes.discard(outbox)

    def _pause(self) -> None:
        # held until the fork is over, so that no outbox is added or removed meanwhile
        self._lock.acquire()
        self._paused = [each for each in list(self._outboxes) if each.pause(_PAUSE_SECONDS)]

    def _resume(self) -> None:
        for each in self._paused:
            each.resume()
        self._lock.release()

    def _reset(self) -> None:
        # the streams belong to the parent, and the lock was taken by `_pause`
        self._outboxes.clear()
        self._paused = []
        self._lock = threading.Lock()


_fork_pause: Final = _ForkPause()


def _reason(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.Call):
        return f"gRPC says {error.code().name}, {error.details()}"
    return f"gRPC says {error}"
