"""Asynchronous sources, sinks, iterators and files."""

from __future__ import annotations

import asyncio
import contextvars
import io

import pytest

from actorc.storage import AsyncStorageClient, InvalidParameterError, NotFoundError, ResourceExhaustedError, RetryPolicy

MiB = 1 << 20


async def test_a_refusal_in_the_middle_of_an_upload_arrives_as_it_is(client, pieces):
    once = RetryPolicy(attempts=1)
    async with AsyncStorageClient(client.endpoint, retry=once) as impatient:
        for number in range(20):
            source = bytes(16 * MiB) if number % 2 else pieces(*[bytes(MiB)] * 4)
            with pytest.raises(ResourceExhaustedError, match="the disk is full; free some space"):
                await impatient.put_object("bucket", f"full-{number}", source)


@pytest.mark.parametrize("sizes", [[], [0], [5], [MiB], [3, 0, MiB, 5], [100] * 300, [3 * MiB, 10 * MiB]])
async def test_an_asynchronous_source_is_stored_as_it_comes(client, blocking, sizes, pieces):
    items = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    put = await client.put_object("bucket", "iterated", pieces(*items))
    stored = blocking.get_object("bucket", "iterated")

    assert (put["size"], stored) == (sum(sizes), b"".join(items))


async def test_an_asynchronous_file_is_read_and_written(client, async_file):
    content = bytes(range(256)) * 5000
    target = async_file()
    await client.upload_from_stream("bucket", "file", async_file(content))
    head = await client.download_to_stream("bucket", "file", target)

    assert (head["size"], target.buffer.getvalue()) == (len(content), content)


async def test_a_part_is_read_from_an_asynchronous_source(client, pieces):
    upload_id = (await client.create_multipart_upload("bucket", "parts"))["upload_id"]
    part = await client.upload_part("bucket", "parts", upload_id, 1, pieces(b"one", b"two"))
    await client.complete_multipart_upload("bucket", "parts", upload_id, [part])

    assert await client.get_object("bucket", "parts") == b"onetwo"


async def test_a_buffer_that_the_source_uses_again_is_no_harm(client):
    async def source():
        buffer = bytearray(1000)
        for number in range(20):
            buffer[:] = bytes([number]) * 1000
            yield buffer

    await client.put_object("bucket", "buffer", source())

    assert await client.get_object("bucket", "buffer") == b"".join(bytes([number]) * 1000 for number in range(20))


@pytest.mark.parametrize("before", [0, 10, 20 * MiB])
async def test_what_a_source_raises_comes_out_unchanged_and_nothing_is_stored(client, before):
    error = LookupError("mine")

    async def source():
        yield bytes(before)
        raise error

    with pytest.raises(LookupError) as caught:
        await client.upload_from_stream("bucket", "failed", source())
    assert caught.value is error
    assert not await client.object_exists("bucket", "failed")


@pytest.mark.parametrize("wrong", ["text", 5, None])
async def test_a_source_that_gives_no_bytes_is_refused(client, wrong, pieces):
    with pytest.raises(InvalidParameterError, match="where bytes were expected"):
        await client.put_object("bucket", "wrong", pieces(b"x", wrong))


async def test_sources_and_progress_run_in_the_task_that_waits(client):
    seen, variable = [], contextvars.ContextVar("variable", default="unset")

    def note(*_):
        seen.append((asyncio.current_task(), variable.get()))

    async def source():
        note()
        yield b"x"

    variable.set("mine")
    await client.upload_from_stream("bucket", "where", source(), progress=note)

    assert seen == [(asyncio.current_task(), "mine")] * 2


async def test_a_progress_callback_that_raises_ends_the_transfer(client, pieces):
    def refuse(done, total):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        await client.upload_from_stream("bucket", "refused", pieces(bytes(MiB)), progress=refuse)
    assert not await client.object_exists("bucket", "refused")


async def test_uploads_that_wait_for_downloads_do_not_take_their_threads(client):
    async with AsyncStorageClient(client.endpoint, max_threads=1) as narrow:
        await narrow.put_object("bucket", "origin", bytes(2 * MiB))
        copies = (
            narrow.put_object("bucket", f"copy-{number}", narrow.stream_object("bucket", "origin"))
            for number in range(20)
        )
        sizes = [put["size"] for put in await asyncio.gather(*copies)]

    assert sizes == [2 * MiB] * 20


async def test_a_download_that_is_not_read_does_not_run_ahead(client):
    await client.put_object("bucket", "stream", bytes(16 * MiB))
    given, ahead = [], []

    def counted():
        for piece in client._client.stream_object("bucket", "stream"):
            given.append(piece)
            yield piece

    async for _ in client._iterate(counted(), 1):
        await client.server_info()
        ahead.append(len(given) - len(ahead) - 1)

    assert len(ahead) == 16
    assert max(ahead) <= 1


async def test_more_streams_than_threads_can_be_half_read_at_once(client):
    await client.put_object("bucket", "stream", bytes(8 * MiB))
    async with AsyncStorageClient(client.endpoint, max_threads=2) as narrow:
        streams = [narrow.stream_object("bucket", "stream") for _ in range(10)]
        for stream in streams:
            assert len(await anext(stream)) == MiB
        assert await narrow.server_info()
        for stream in streams:
            await stream.aclose()


async def test_objects_are_iterated_over(client):
    for number in range(5):
        await client.put_object("many", f"{number}", b"")

    assert [head["key"] async for head in client.iter_objects("many")] == ["0", "1", "2", "3", "4"]


async def test_arguments_of_a_stream_are_checked_before_the_first_piece(client):
    with pytest.raises(InvalidParameterError):
        client.stream_object("bucket", "key", offset=-1)
    with pytest.raises(NotFoundError):
        await anext(client.stream_object("bucket", "missing"))


async def test_an_object_is_a_file_whose_methods_are_awaited(client):
    async with client.open_object("bucket", "opened", "w") as file:
        await file.write("one\n")
        await file.write("two\n")
    async with client.open_object("bucket", "opened", "r") as text:
        lines = [line async for line in text]
    async with client.open_object("bucket", "opened") as data:
        end = await data.seek(-4, io.SEEK_END)
        last, position = await data.read(), await data.tell()

    assert (file.result["size"], lines) == (8, ["one\n", "two\n"])
    assert (end, last, position) == (4, b"two\n", 8)


async def test_a_file_that_is_changed_while_it_is_written_is_one_for_awaiting_too(client):
    async with client.open_object("bucket", "changed", "w+b") as file:
        await file.write(b"....body")
        await file.seek(0)
        await file.write(b"head")
    buffer = bytearray(6)
    async with client.open_object("bucket", "changed") as file:
        count = await file.readinto(buffer)
    found = await client.get_ranges("bucket", "changed", [(-4, 4), (0, 2)])
    with pytest.raises(FileExistsError):
        async with client.open_object("bucket", "changed", "xt", encoding="utf-8", errors="strict"):
            pass

    assert (count, bytes(buffer), found) == (6, b"headbo", [b"body", b"he"])
    assert await client.get_object("bucket", "changed", out=buffer, length=3) == b"hea"


@pytest.mark.parametrize("size", [10, 20 * MiB])
@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_a_file_whose_body_raises_or_is_cancelled_is_not_stored(client, mode, size):
    async def write(error):
        async with client.open_object("bucket", "body", mode) as file:
            await file.write("x" * size if mode == "w" else b"x" * size)
            raise error

    for error in (LookupError, asyncio.CancelledError):
        with pytest.raises(error):
            await write(error)

    assert not await client.object_exists("bucket", "body")
    assert (await client.list_multipart_uploads("bucket"))["uploads"] == []


async def test_a_file_is_used_inside_its_block_only(client):
    file = client.open_object("bucket", "unopened")
    with pytest.raises(ValueError, match="async with"):
        await file.read()
    with pytest.raises(NotFoundError):
        async with client.open_object("bucket", "missing"):
            raise AssertionError
