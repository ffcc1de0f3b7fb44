"""Cancelling a task cancels its call, stores nothing, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing, suppress

import psutil
import pytest

from actorc.storage import AsyncStorageClient

MiB = 1 << 20


async def test_a_cancelled_task_ends_while_the_server_still_thinks(client, engine):
    task = asyncio.create_task(client.bucket_exists("behind-the-gate"))
    await asyncio.to_thread(engine.reached.acquire, timeout=20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not engine.opened.is_set()
    assert await client.server_info()


async def test_a_timeout_of_the_caller_cancels_too(client, engine):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.bucket_exists("behind-the-gate"), 0.05)

    assert not engine.opened.is_set()


async def test_cancelling_a_download_cancels_the_call_on_the_server(client, lines):
    await client.put_object("bucket", "big", bytes(32 * MiB))
    reached = asyncio.Event()

    class Sink:
        async def write(self, data):
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(client.download_to_stream("bucket", "big", Sink()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await asyncio.to_thread(lines.wait_for, "ReadObject CANCELLED")


@pytest.mark.parametrize("size", [0, 5 * MiB, 20 * MiB])
async def test_a_cancelled_upload_stores_nothing(client, size):
    reached, told = asyncio.Event(), []

    async def source():
        try:
            yield bytes(size)
            reached.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    task = asyncio.create_task(client.upload_from_stream("bucket", "cancelled", source()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told == ["cancelled"]
    assert not await client.object_exists("bucket", "cancelled")
    assert (await client.list_multipart_uploads("bucket"))["uploads"] == []


async def test_a_call_that_waits_for_a_thread_is_cancelled_before_it_begins(client, engine):
    crowd = [asyncio.create_task(client.bucket_exists("behind-the-gate")) for _ in range(40)]
    for _ in range(32):
        await asyncio.to_thread(engine.reached.acquire, timeout=20)
    for task in crowd:
        task.cancel()
    ended = await asyncio.gather(*crowd, return_exceptions=True)

    assert {type(error) for error in ended} == {asyncio.CancelledError}
    assert await client.server_info()


@pytest.mark.parametrize("way", ["aclose", "break", "cancel"])
async def test_a_stream_that_is_left_cancels_the_call(client, lines, way):
    await client.put_object("bucket", "left", bytes(32 * MiB))

    async def read():
        async with aclosing(client.stream_object("bucket", "left")) as stream:
            async for _ in stream:
                if way == "cancel":
                    asyncio.current_task().cancel()
                else:
                    break

    if way == "break":
        async for _ in client.stream_object("bucket", "left"):
            break
    else:
        with suppress(asyncio.CancelledError):
            await asyncio.create_task(read())

    assert await asyncio.to_thread(lines.wait_for, "ReadObject CANCELLED")


def ours():
    names = {"storage-async", "storage-upload", "storage-part"}
    return [thread for thread in threading.enumerate() if thread.name in names]


async def endless():
    while True:
        yield bytes(MiB // 4)
        await asyncio.sleep(0)


async def transfer(client, number):
    if number % 2:
        await client.upload_from_stream("bucket", f"leak-{number}", endless())
    async for _ in client.stream_object("bucket", "source"):
        await asyncio.sleep(0)


async def cancel_transfers(client, count):
    tasks = [asyncio.create_task(transfer(client, number)) for number in range(count)]
    for number, task in enumerate(tasks):
        await asyncio.wait([task], timeout=0.001 * (number % 7))
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
def test_cancelled_calls_leave_no_thread_no_descriptor_and_no_object(server, thorough):
    process = psutil.Process()

    async def main():
        async with AsyncStorageClient(server.endpoint) as client:
            await client.put_object("bucket", "source", bytes(32 * MiB))
            await cancel_transfers(client, 20)
            before = process.num_fds()
            for _ in range(10 if thorough else 2):
                await cancel_transfers(client, 20)
            for _ in range(200):
                listed = await client.list_objects("bucket", "leak")
                # The server ends the connection of a cancelled call a moment after the client has.
                if process.num_fds() <= before + 4:
                    break
            return process.num_fds() - before, listed["objects"]

    opened, stored = asyncio.run(main())
    for thread in ours():
        thread.join(20)

    assert stored == []
    assert opened <= 4
    assert ours() == []


def test_a_cancelled_upload_is_no_damaged_one(server, caplog):
    async def main():
        async with AsyncStorageClient(server.endpoint) as client:
            for _ in range(3):
                await cancel_transfers(client, 20)

    asyncio.run(main())

    assert [record.getMessage() for record in caplog.records if "trying again" in record.getMessage()] == []
