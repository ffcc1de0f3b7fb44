"""One call at once, and those that come meanwhile together: a leader makes the calls of those that wait behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, Literal, TypeVar

from actorc import fork_hooks
from actorc.storage._rpc import cancellation
from actorc.storage.errors import StorageError
from actorc.storage.rules import MiB

from .call_window import CallWindow
from .waiting_call import C, Failed, Told, WaitingCall

R = TypeVar("R")

Together = Callable[[Sequence[C], float], "Sequence[R | Failed | Told]"]
"""Makes calls as one within so many seconds; returns the outcome of each, `Told.ALONE` for one to be made alone."""

MOST_CALLS: Final = 64
"""Calls of a batch."""
_MOST_BYTES: Final = MiB
"""Bytes of a batch that is sent; a quarter of what a message takes, since more of them take no less time together."""
_PATIENCE_SECONDS: Final = 0.005
"""For so long a call waits for those under way; after that it goes, with all that wait: one of them may be slow."""


class Gathering(Generic[C, R]):
    """Makes the calls of many threads. Any thread may call it, also in a child after a fork.

    While few calls are under way, each is made at once, alone. Others wait for one of these to end, or for 5 ms, and
    are then made as one batch by the thread of one of them. Each has its own result or error, time limit and
    cancellation. If a batch fails, or its leader is interrupted, each of the others is made alone, as if there had been
    none.

    Args:
        together: Makes several of one bucket.
        usual: Seconds for which a call without a time limit of its own waits for others at most.
        travels: Returns whether calls may be made together now.
        least: Calls that never wait for others.
        distinct: Whether a batch may have a key only once.
        patience: Seconds for which a call waits for those under way.
    """

    def __init__(
        self,
        together: Together[C, R],
        *,
        usual: float,
        travels: Callable[[], bool],
        least: int = 2,
        distinct: bool = False,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self._together = together
        self._usual = usual
        self._travels = travels
        self._least = least
        self._distinct = distinct
        self._patience = patience
        self._renew()
        # those who wait, and the calls under way, are threads of the parent
        fork_hooks.in_child(self, Gathering._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()  # guards the two fields below, and the batches of waiting calls
        self._under_way = 0
        self._queue: list[WaitingCall[C, R]] = []
        # two beside each other: while one waits for the disk or the peer, the next is on its way
        self._window = CallWindow(self._least)

    def make(self, call: C, alone: Callable[[C], R]) -> R:
        """Return the result of a call, made alone or with others.

        Args:
            call: The call.
            alone: Makes one; not kept, so that a store and what gathers its calls are no cycle.

        Raises:
            StorageError: The call failed or was cancelled.
        """
        has_turn = is_full = False
        waiting: WaitingCall[C, R] | None = None
        # entered before the turn is taken: an interruption in between would keep it for ever
        try:
            with self._lock:
                is_full = self._under_way >= self._window.size
                if is_full and self._travels():
                    waiting = WaitingCall(call, self._usual)
                    self._queue.append(waiting)
                else:
                    self._under_way += 1
                    has_turn = True
            if waiting is not None:
                told = self._joined(waiting)
                if told is not Told.ALONE:
                    return told
                waiting.shorten()
            began = time.monotonic()
            result = alone(call)
            seconds, window = time.monotonic() - began, self._window
            is_full = is_full or self._under_way >= window.size
            # a call alone, of the usual length, tells nothing new
            if is_full or not window.shortest <= seconds <= window.crowded:
                window.took(seconds, is_full=is_full)
            return result
        finally:
            if has_turn:
                with self._lock:
                    is_awaited = bool(self._queue)
                    if not is_awaited:
                        self._under_way = max(0, self._under_way - 1)
                if is_awaited:
                    self._pass_turn()
            elif waiting is not None:
                self._leave(waiting)

    def _joined(self, waiting: WaitingCall[C, R]) -> R | Literal[Told.ALONE]:
        """Return the result of a call that waits, once another thread or this one has made it."""
        with cancellation.running(waiting.cancel):
            told = waiting.told(min(self._patience, waiting.left()))
            if told is None and not self._is_leader(waiting):
                told = waiting.told(waiting.left())
        if told is Told.CANCELLED:
            raise cancellation.cancelled()
        batch = waiting.batch
        if batch is not None and len(batch) == 1:
            # with its turn, since it is under way like any other
            return Told.ALONE
        if batch is not None:
            told = self._led(waiting, batch)
        if isinstance(told, Failed):
            raise told.error
        if told is None or isinstance(told, Told):
            # also a call whose time is over: it fails as any call does then
            self._leave(waiting)
            return Told.ALONE
        return told

    def _is_leader(self, waiting: WaitingCall[C, R]) -> bool:
        """Return whether the call leads; one that nobody has taken along yet does from now on."""
        with self._lock:
            if waiting in self._queue:
                self._under_way += 1
                waiting.batch = self._next_batch(waiting)
            return waiting.batch is not None

    def _led(self, leader: WaitingCall[C, R], batch: list[WaitingCall[C, R]]) -> R | Failed | Told:
        """Make the calls of a batch; tell the others theirs, and return the outcome of the leader's."""
        began = time.monotonic()
        try:
            outcomes = self._together([each.call for each in batch], leader.left())
        except StorageError:
            # whatever it was: each finds out for itself, by its own rules
            return Told.ALONE
        self._window.took(time.monotonic() - began, is_full=True)
        own: R | Failed | Told = Told.ALONE
        for each, outcome in zip(batch, outcomes, strict=True):
            if each is leader:
                own = outcome
            else:
                each.tell(outcome)
        # only now: an interruption before would leave some of them without an outcome
        with self._lock:
            batch[:] = [leader]
        return own

    def _leave(self, waiting: WaitingCall[C, R]) -> None:
        """Let nobody wait for this call or count on it, however far it came. Further calls do nothing."""
        with self._lock:
            batch, waiting.batch = waiting.batch, None
            if waiting in self._queue:
                self._queue.remove(waiting)
        if batch is not None:
            for each in batch:
                # those who have an outcome already do not hear it
                each.tell(Told.ALONE)
            self._pass_turn()

    def _pass_turn(self) -> None:
        """Give the turn of a call that is over to those that wait."""
        with self._lock:
            if not self._queue or self._under_way > self._window.size:
                self._under_way = max(0, self._under_way - 1)
                return
            batch = self._next_batch(self._queue[0])
            # the one that has the most time, so that no other's ends later than that of their call
            leader = max(batch, key=_end)
            leader.batch = batch
        leader.tell(Told.LEAD)

    def _next_batch(self, first: WaitingCall[C, R]) -> list[WaitingCall[C, R]]:
        """Take from the queue a call, and those that can travel with it."""
        batch, keys, size = [first], {first.call.key}, first.call.size
        left: list[WaitingCall[C, R]] = []
        for each in self._queue:
            call = each.call
            if each is first:
                continue
            if (
                len(batch) == MOST_CALLS
                or call.bucket != first.call.bucket
                or size + call.size > _MOST_BYTES
                or (self._distinct and call.key in keys)
            ):
                left.append(each)
                continue
            batch.append(each)
            keys.add(call.key)
            size += call.size
        self._queue = left
        return batch


def _end(waiting: WaitingCall[C, R]) -> float:
    return waiting.end
