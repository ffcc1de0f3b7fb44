"""One connection of a client: its calls, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Final

from actorc.storage._wire.call_headers import PREFIX
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import ClosedError, Frame, FrameError, Kind, Pairs, decode_pairs
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.server.service.admission import CallPool
from actorc.storage.server.service.call import Call, CallHead
from actorc.storage.server.service.call_context import PeerGoneError
from actorc.storage.server.service.call_flow import CallFlow
from actorc.storage.server.service.methods import Kind as MethodKind
from actorc.storage.server.service.methods import Method

from .context import CallAbortedError, UnixContext

_HEAD_SECONDS: Final = 10.0
"""Seconds that the head of a call may take, from its first byte on."""


class Calls:
    """Answers calls. Any thread may call it.

    Args:
        methods: The methods, by name.
        flow: What every call goes through.
        pool: Counts the calls, with those of the other face.
    """

    def __init__(self, methods: Mapping[str, Method], flow: CallFlow, pool: CallPool) -> None:
        self._methods = methods
        self._answer_of = {each.name: flow.answer(each) for each in methods.values() if each.kind is MethodKind.UNARY}
        self._answers_of = {each.name: flow.answers(each) for each in methods.values()}
        self._flow = flow
        self._pool = pool

    def answer(self, frames: FrameSocket, peer: str) -> bool:
        """Answer the call that begins on a connection; return whether another may follow there."""
        try:
            head = _head(frames.receive_frame(min(_HEAD_SECONDS, self._flow.idle_timeout)))
            return self._answer(frames, peer, head)
        except (ClosedError, FrameError, TimeoutError, PeerGoneError, OSError):
            return False

    def _answer(self, frames: FrameSocket, peer: str, pairs: Pairs) -> bool:
        path, metadata = str(pairs[0][1]), pairs[1:]
        method = self._methods.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        kind = method.kind if method else MethodKind.UPLOAD
        context = UnixContext(frames, peer, kind, self._flow.idle_timeout)
        try:
            if method is None:
                context.abort(StatusCode.UNIMPLEMENTED, f"this server has no method {path}", ())
            self._call(method, CallHead(method.name, dict(metadata)), metadata, context)
            context.skip_request()
        except CallAbortedError:
            # a refused upload is not read to its end, which may be far; its client closes the connection as well
            if kind is not MethodKind.UPLOAD:
                context.skip_request()
        finally:
            context.close()
        return context.is_read

    def _call(self, method: Method, head: CallHead, metadata: Pairs, context: UnixContext) -> None:
        with Call(head, context, self._flow.access_log) as call:
            self._pool.demand_room()
            proof = self._flow.check_headers(head, metadata)
            with self._pool.counted:
                if method.kind is MethodKind.UNARY:
                    context.send(self._answer_of[method.name](call, proof, context.messages()))
                else:
                    with closing(self._answers_of[method.name](call, proof, context.messages())) as answers:
                        for answer in answers:
                            context.send(answer)
            # within the block: what the client did not take is recorded as such, and it need not wait for the record
            context.finish()


def _head(frame: Frame) -> Pairs:
    pairs = decode_pairs(frame.payload) if frame.kind is Kind.BEGIN else ()
    if not pairs or pairs[0][0] != ":path":
        raise FrameError("a call begins with its path")
    return pairs
