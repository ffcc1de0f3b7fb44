"""The gRPC face: who may open a session, and the messages of each to and from its `Application`."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.protocol.batching import next_message
from actorc.controller.protocol.protobuf_fields import Parts

from . import messages
from .application import Application, UnsupportedError
from .framing import DamagedMessageError
from .messages import Received
from .options import ControllerOptions, address_of
from .worker_pool import Pool
from .worker_process import Surroundings, WorkerProcess

log = logging.getLogger(__name__)

Requests: TypeAlias = AsyncIterator[list[Received[pb.Message]]]
"""What a client sends, as batches."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", messages.MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", messages.MAX_MESSAGE_SIZE),
    # clients ping while calls run; gRPC's default takes a ping within five minutes for an attack
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)

_PATIENCE: Final = 10.0
"""Seconds in which a stream must have been registered; anybody on this machine can open one."""
_LOOK: Final = 1.0
"""Seconds between two looks for calls that should have returned."""
_LAST_WORDS: Final = 1.0
"""Seconds in which clients must have been told that the controller ends."""


class ControllerServer:
    """A controller in this process, on the running event loop.

    Args:
        options: How it runs.
    """

    def __init__(self, options: ControllerOptions) -> None:
        self._options = options
        surroundings = Surroundings(path=options.path, cwd=options.cwd)
        self._pool = Pool(
            options.max_workers,
            lambda venv, *calls: WorkerProcess(venv, surroundings, *calls),
            timeout=options.call_timeout,
        )
        self._looking: asyncio.TimerHandle | None = None
        self._registered: set[str] = set()
        self._sessions: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        # else a second controller on the same port would share it silently
        sharing = ("grpc.so_reuseport", int(options.shares_port))
        self._grpc = grpc.aio.server(options=(*_OPTIONS, sharing))
        handler = grpc.stream_stream_rpc_method_handler(self._session, messages.from_client, b"".join)
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("controller.Service", {"Session": handler}),)
        )

    async def start(self) -> str:
        """Bind and serve; return the address.

        Raises:
            ValueError: The port is taken or not allowed.
        """
        address = address_of(self._options.listen)
        try:
            port = self._grpc.add_insecure_port(str(address))
        except RuntimeError as error:
            raise ValueError(
                f"the controller cannot listen on {address}, the port is taken or not allowed; "
                "choose another, 0 finds one"
            ) from error
        await self._grpc.start()
        self._look()
        return str(address._replace(port=port))

    async def stop(self) -> None:
        """End all sessions and all workers, at once."""
        self._is_stopping = True
        if self._looking is not None:
            self._looking.cancel()
        for session in self._sessions:
            session.cancel()
        await self._grpc.stop(_LAST_WORDS)
        self._pool.stop()

    def _look(self) -> None:
        """Give up calls that should have returned, now and again."""
        # a call that begins meanwhile may be due before the one that is now the first
        wait = min(self._pool.expire() or _LOOK, _LOOK)
        self._looking = asyncio.get_running_loop().call_later(wait, self._look)

    async def _session(self, requests: Requests, context: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await self._serve(requests, context)
        except UnsupportedError as error:
            log.warning("%s", error)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except DamagedMessageError as error:
            # a stranger's garbage is worth one line of the log
            log.warning("a client sent what is no message and was disconnected, %s", error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "that is no message of this protocol")
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the controller is ending")
        finally:
            self._sessions.discard(task)

    async def _serve(self, requests: Requests, context: Any) -> None:
        client = await self._register(requests, context)
        answers: asyncio.Queue[Parts] = asyncio.Queue()
        application = Application(self._pool, answers.put_nowait, self._options.path)
        sending = asyncio.Lock()
        writing = asyncio.create_task(_write(answers, sending, context, batches=client.batches))
        reading = asyncio.create_task(_read(requests, application))
        try:
            done, _ = await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            application.close()
            self._registered.discard(client.application_id)
            reading.cancel()
            # gRPC takes no status while it sends a message, not even one that nobody waits for any more
            with suppress(TimeoutError):
                await asyncio.wait_for(sending.acquire(), _LAST_WORDS)
            writing.cancel()

    async def _register(self, requests: Requests, context: Any) -> pb.RegisterRequest:
        """Return the registration of an application that may open a session now, or end the stream."""
        try:
            first = await asyncio.wait_for(anext(aiter(requests), []), _PATIENCE)
        except TimeoutError:
            first = []
        if [each.message.type for each in first] != [pb.FR_REGISTER_REQUEST]:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "a session begins with a registration")
        client = first[0].message.register_request
        if not is_served(client.application_id, self._options.app_ids):
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, _FOREIGN)
        if client.application_id in self._registered:
            await _refuse(context, grpc.StatusCode.ALREADY_EXISTS, _TAKEN)
        self._registered.add(client.application_id)
        return client


def is_served(app_id: str, served: Sequence[str]) -> bool:
    """Return whether an id is one of those served, or one of them with a dot and more behind it.

    How long that takes says nothing about ids that are served.
    """
    given = app_id.encode()
    matches = [_begins_with(given, each.encode()) for each in served]
    return any(matches)


def _begins_with(given: bytes, served: bytes) -> bool:
    if len(given) == len(served):
        return hmac.compare_digest(given, served)
    return hmac.compare_digest(given[: len(served) + 1], served + b".")


async def _read(requests: Requests, application: Application) -> None:
    async for batch in requests:
        for received in batch:
            application.handle(received)


async def _write(answers: asyncio.Queue[Parts], sending: asyncio.Lock, context: Any, *, batches: bool) -> None:
    """Send answers as they come; whoever holds `sending` knows that none is on its way."""
    async with sending:
        await context.write(messages.ack(batches=batches))
    waiting: deque[Parts] = deque()
    while True:
        if not waiting:
            waiting.append(await answers.get())
        while not answers.empty():
            waiting.append(answers.get_nowait())
        async with sending:
            await context.write(next_message(waiting) if batches else waiting.popleft())


async def _refuse(context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
    await context.write(messages.ack(reason))
    await context.abort(code, reason)
    raise AssertionError("abort raises")


_FOREIGN: Final = "this controller does not serve that application; give it the id with which it was started"
_TAKEN: Final = "that application id is in use by another session; register under an id of its own"
