"""Steps written with ``async def`` answer like any other, whether a loop runs around them or not."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lucas_storage import Storage, with_storage
from lucas_storage.storage import ArtifactRef

VARIABLE = contextvars.ContextVar("variable", default="nothing")
pytestmark = pytest.mark.usefixtures("settings")


@with_storage
async def doubled(text: str) -> str:
    await asyncio.sleep(0)
    return 2 * text


@with_storage
async def written(name: str, storage: Storage) -> Path:
    file = storage.scratch() / name
    await asyncio.to_thread(file.write_text, "content")
    return file


@with_storage
async def counted(n: int) -> AsyncIterator[bytes]:
    for i in range(n):
        await asyncio.sleep(0)
        yield str(i).encode()


@with_storage
def joined(pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


@with_storage
async def seen() -> str:
    return VARIABLE.get()


def test_an_async_step_answers_with_the_value_it_returned():
    assert doubled(text="ab") == "abab"


def test_an_async_step_answers_on_a_thread_whose_loop_is_running():
    async def notebook():
        return doubled(text="ab")

    assert asyncio.run(notebook()) == "abab"


def test_a_file_that_an_async_step_wrote_travels_before_its_scratch_directory_goes():
    assert ArtifactRef.parse(written(name="a.txt")).path().read_text() == "content"


@pytest.mark.parametrize("within_a_loop", [False, True])
def test_an_async_generator_leaves_as_a_stream(within_a_loop):
    async def notebook():
        return joined(pieces=counted(n=3))

    answer = asyncio.run(notebook()) if within_a_loop else joined(pieces=counted(n=3))

    assert bytes(ArtifactRef.parse(answer).load()) == b"012"


def test_an_async_generator_is_closed_when_its_stream_fails():
    closed = []

    @with_storage
    async def failing():
        try:
            yield b"0"
            raise OSError("no more")
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    with pytest.raises(OSError, match="no more"):
        failing()
    assert closed == [True]


@pytest.mark.parametrize("within_a_loop", [False, True])
def test_context_variables_of_the_caller_are_seen(within_a_loop):
    async def notebook():
        return seen()

    token = VARIABLE.set("something")
    try:
        assert (asyncio.run(notebook()) if within_a_loop else seen()) == "something"
    finally:
        VARIABLE.reset(token)


def test_a_step_that_runs_leaves_the_loop_of_its_thread_alone():
    def on_thread():
        asyncio.set_event_loop(loop)
        doubled(text="a")
        after.append(asyncio.get_event_loop())

    loop, after = asyncio.new_event_loop(), []
    thread = threading.Thread(target=on_thread)
    thread.start()
    thread.join()
    loop.close()

    assert after == [loop]


def test_a_plain_wrapper_of_an_async_function_answers_with_its_value():
    async def inner(x: int) -> int:
        return x + 1

    @functools.wraps(inner)
    def wrapper(*args, **kwargs):
        return inner(*args, **kwargs)

    assert with_storage(wrapper)(x=1) == 2


def test_errors_of_an_async_step_are_those_it_raised():
    @with_storage
    async def failing(x):
        raise ValueError(x)

    with pytest.raises(ValueError, match="7"):
        failing(x=7)


INTERRUPTED = """
import asyncio, os, signal, sys
from lucas_storage import with_storage

@with_storage
async def waiting():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    finally:
        print("cleaned up")

@with_storage
async def streaming():
    yield b"0"
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    finally:
        print("cleaned up")

step = streaming if "stream" in sys.argv else waiting

async def notebook():
    # The signal handler of the loop around would only cancel the task that waits here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    step()

try:
    asyncio.run(notebook()) if "loop" in sys.argv else step()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("arguments", [[], ["loop"], ["stream"], ["stream", "loop"]])
def test_an_interrupt_ends_the_coroutine_and_then_the_step(arguments, settings):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "STORAGE_ENDPOINT": settings["endpoint"]},
    )

    assert done.stdout.split("\n") == ["cleaned up", "interrupted", ""], done.stderr
