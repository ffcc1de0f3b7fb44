"""The gRPC service: admits sessions, and passes messages between each client and its `Application`."""

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
from .worker_process import WorkerProcess, WorkerSettings

log = logging.getLogger(__name__)

Requests: TypeAlias = AsyncIterator[list[Received[pb.Message]]]
"""Batches of a client's messages."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", messages.MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", messages.MAX_MESSAGE_SIZE),
    # clients ping while calls run; gRPC's default takes a ping within five minutes for an attack
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)

_REGISTRATION_SECONDS: Final = 10.0
"""Seconds that a stream may take to register; every process on this machine can open one."""
_CHECK_SECONDS: Final = 1.0
"""Seconds between two checks for overdue calls, at most."""
_STATUS_SECONDS: Final = 1.0
"""Seconds that clients have to receive the end of their sessions."""


class ControllerServer:
    """A controller in this process. For the running event loop only.

    Args:
        options: The controller's options.
    """

    def __init__(self, options: ControllerOptions) -> None:
        self._options = options
        settings = WorkerSettings(path=options.path, cwd=options.cwd)
        self._pool = Pool(
            options.max_workers,
            lambda venv, *calls: WorkerProcess(venv, settings, *calls),
            timeout=options.call_timeout,
        )
        self._next_check: asyncio.TimerHandle | None = None
        self._registered: set[str] = set()
        self._sessions: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        # else a second controller could bind the same port, and each would get a part of the clients
        sharing = ("grpc.so_reuseport", int(options.shares_port))
        self._grpc = grpc.aio.server(options=(*_OPTIONS, sharing))
        handler = grpc.stream_stream_rpc_method_handler(self._session, messages.from_client, b"".join)
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("controller.Service", {"Session": handler}),)
        )

    async def start(self) -> str:
        """Bind the port and serve; return the address.

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
        self._check_overdue()
        return str(address._replace(port=port))

    async def stop(self) -> None:
        """End all sessions and all workers at once."""
        self._is_stopping = True
        if self._next_check is not None:
            # cancelled before the server stops, so that each client gets a status with a reason
            self._next_check.cancel()
        for session in self._sessions:
            session.cancel()
        # workers last: sessions that end may still release calls in the pool
        await self._grpc.stop(_STATUS_SECONDS)
        self._pool.stop()

    def _check_overdue(self) -> None:
        """Fail overdue calls, and schedule the next check."""
        # a call that begins meanwhile may have an earlier deadline than the present first one, hence the limit
        wait = min(self._pool.expire() or _CHECK_SECONDS, _CHECK_SECONDS)
        self._next_check = asyncio.get_running_loop().call_later(wait, self._check_overdue)

    async def _session(self, requests: Requests, context: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await self._serve(requests, context)
        except UnsupportedError as error:
            # no command without an answer may fail silently, so it ends the session
            log.warning("%s", error)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except DamagedMessageError as error:
            # data of another protocol is an error of its sender, so one line of the log is enough
            log.warning("a client sent what is no message and was disconnected, %s", error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "that is no message of this protocol")
        except asyncio.CancelledError:
            # cancelled by gRPC because the client has gone; nobody is left to get a status
            if not self._is_stopping:
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the controller is ending")
        finally:
            self._sessions.discard(task)

    async def _serve(self, requests: Requests, context: Any) -> None:
        client = await self._register(requests, context)
        answers: asyncio.Queue[Parts] = asyncio.Queue()
        application = Application(self._pool, answers.put_nowait, self._options.path)
        # held while a message is sent, so that the end of the session waits for it
        sending = asyncio.Lock()
        writing = asyncio.create_task(_write(answers, sending, context, batches=client.batches))
        reading = asyncio.create_task(_read(requests, application))
        try:
            done, _ = await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            # a failure of either task ends the session
            for each in done:
                each.result()
        finally:
            # whatever ended the session, its calls and its id must be free for the next one
            application.close()
            self._registered.discard(client.application_id)
            reading.cancel()
            # gRPC accepts no status while a message is being sent, not even one the client no longer reads
            with suppress(TimeoutError):
                await asyncio.wait_for(sending.acquire(), _STATUS_SECONDS)
            writing.cancel()

    async def _register(self, requests: Requests, context: Any) -> pb.RegisterRequest:
        """Return the registration of an application that may open a session, or abort the stream."""
        try:
            first = await asyncio.wait_for(anext(aiter(requests), []), _REGISTRATION_SECONDS)
        except TimeoutError:
            first = []
        if [each.message.type for each in first] != [pb.FR_REGISTER_REQUEST]:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "a session begins with a registration")
        client = first[0].message.register_request
        # the id is checked before its use is reported, so that a stranger learns nothing about ids in use
        if not is_served(client.application_id, self._options.app_ids):
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, _NOT_SERVED)
        if client.application_id in self._registered:
            await _refuse(context, grpc.StatusCode.ALREADY_EXISTS, _IN_USE)
        self._registered.add(client.application_id)
        return client


def is_served(app_id: str, served: Sequence[str]) -> bool:
    """Return whether an id is one of those served, or one of them followed by a dot and more.

    The time it takes does not depend on the ids served, so that it does not help to guess one.
    """
    given = app_id.encode()
    # a list and no generator: all are compared, also after a match
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
    """Send answers as they come; `sending` is held while one is being sent."""
    async with sending:
        await context.write(messages.ack(batches=batches))
    waiting: deque[Parts] = deque()
    while True:
        if not waiting:
            waiting.append(await answers.get())
        # all that is there, for one batch
        while not answers.empty():
            waiting.append(answers.get_nowait())
        async with sending:
            await context.write(next_message(waiting) if batches else waiting.popleft())


async def _refuse(context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
    await context.write(messages.ack(reason))
    await context.abort(code, reason)
    raise AssertionError("abort raises")


_NOT_SERVED: Final = "this controller does not serve that application; give it the id with which it was started"
_IN_USE: Final = "that application id is in use by another session; register under an id of its own"
