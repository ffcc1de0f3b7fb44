"""Threads for calls that block: few, started when they are needed, gone when they are not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from actorc import fork_hooks

Result = TypeVar("Result")

_IDLE_SECONDS: Final = 10.0


class Threads:
    """Runs calls, at most `limit` of them at the same time. Usable from any thread, and in a child after a fork.

    Unlike those of `concurrent.futures`, the threads do not keep the process from ending.

    Args:
        limit: Threads at most, beside those lent.
        name: What the threads are called.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._closed = False
        self._forget()
        fork_hooks.in_child(self, Threads._forget)

    def _forget(self) -> None:
        # also in a forked child, where the threads do not exist and the lock may be held for ever
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._places = self._limit
        self._running = 0
        self._idle = 0

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Run `call` as soon as there is a thread for it; its future can be cancelled until then."""
        future: Future[Result] = Future()
        with self._changed:
            self._make_thread_for(len(self._waiting) + 1)
            self._waiting.append(partial(_run, call, future))
            self._changed.notify()
        return future

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another thread take the place of this one, which waits for something that may need a thread itself."""
        with self._changed:
            self._places += 1
            self._make_thread_for(len(self._waiting))
        try:
            yield
        finally:
            with self._changed:
                self._places -= 1

    def close(self) -> None:
        """Let the threads end once nothing waits for them."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _make_thread_for(self, waiting: int) -> None:
        if waiting > self._idle and self._running < self._places:
            # daemon: a call to a server that does not answer must not keep the process from ending
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._running += 1

    def _work(self) -> None:
        while True:
            call = self._next()
            if call is None:
                return
            call()
            # what it returned is not to live until the next one comes
            del call

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._waiting:
                if self._closed or self._running > self._places or not self._rested():
                    self._running -= 1
                    return None
            return self._waiting.popleft()

    def _rested(self) -> bool:
        """Wait for calls; return whether this thread is still needed."""
        self._idle += 1
        told = self._changed.wait(_IDLE_SECONDS)
        self._idle -= 1
        return told or bool(self._waiting)


def _run(call: Callable[[], Result], future: Future[Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001  # raised again where the future is waited for
        future.set_exception(error)
        # the error knows this frame, and the future knows the error
        del future
    else:
        future.set_result(result)
