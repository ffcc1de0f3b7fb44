"""The asynchronous client as a whole: the twin of the blocking one, on any loop, in any process."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import AsyncStorageClient, StorageClient, StorageError

MiB = 1 << 20
RENAMED = {"close": "aclose"}
ASYNCHRONOUS = {
    "ByteSource": "AsyncByteSource",
    "IO[bytes]": "IO[bytes] | AsyncWritable",
    "IO[Any]": "AsyncObjectFile",
    "Iterator[bytes]": "AsyncGenerator[bytes, None]",
    "Iterator[ObjectHead]": "AsyncGenerator[ObjectHead, None]",
}


def public(cls):
    return {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}


def shape(method):
    """Names, kinds, defaults and types of a method, as they are where nothing is awaited."""
    signature = inspect.signature(method)
    types = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    types["return"] = signature.return_annotation
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return bare, types


def described(thing):
    """Names of the arguments and errors that a docstring describes."""
    return re.findall(r"^ {4}(\w+): ", inspect.getdoc(thing), re.MULTILINE)


def test_both_clients_have_the_same_public_names():
    # `default_progress` is for the whole process, asynchronous clients included, and is set at one place.
    expected = {RENAMED.get(name, name) for name in public(StorageClient)} - {"default_progress"}

    assert expected == public(AsyncStorageClient).keys()


@pytest.mark.parametrize("name", [name for name, member in public(StorageClient).items() if callable(member)])
def test_a_method_has_the_same_signature_in_both_clients(name):
    twin = getattr(AsyncStorageClient, RENAMED.get(name, name))
    parameters, types = shape(getattr(StorageClient, name))
    twin_parameters, twin_types = shape(twin)

    assert parameters == twin_parameters
    assert {key: ASYNCHRONOUS.get(value, value) for key, value in types.items()} == twin_types
    assert inspect.iscoroutinefunction(twin) or twin_types["return"].startswith("Async")
    assert described(getattr(StorageClient, name)) == described(twin)


def test_both_clients_are_made_of_the_same_arguments():
    parameters, types = shape(StorageClient.__init__)
    twin_parameters, twin_types = shape(AsyncStorageClient.__init__)
    threads = twin_parameters.pop()

    assert (threads.name, threads.kind, twin_types.pop("max_threads")) == ("max_threads", threads.KEYWORD_ONLY, "int")
    assert (parameters, types) == (twin_parameters, twin_types)
    assert [parameter.name for parameter in parameters[1:]] == described(StorageClient)[:-1]
    assert [*described(StorageClient)[:-1], "max_threads"] == described(AsyncStorageClient)[:-1]


def test_importing_the_package_loads_asyncio_only_with_the_client_that_needs_it():
    code = (
        "import sys, actorc.storage as s; print('asyncio' in sys.modules, 'AsyncStorageClient' in dir(s)); "
        "s.AsyncStorageClient; print('asyncio' in sys.modules, 'grpc' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.split() == ["False", "True", "True", "False"]


@pytest.mark.slow
def test_a_client_serves_several_loops_one_after_the_other_and_at_once(server, pieces):
    client = AsyncStorageClient(server.endpoint)

    async def exchange(number):
        key = f"loop-{number}"
        await client.put_object("bucket", key, pieces(key.encode(), bytes(MiB)))
        return b"".join([piece async for piece in client.stream_object("bucket", key)]) == key.encode() + bytes(MiB)

    async def crowd(first):
        return all(await asyncio.gather(*(exchange(first + number) for number in range(5))))

    one_after_the_other = [asyncio.run(crowd(first)) for first in (0, 10)]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda first: asyncio.run(crowd(first)), (20, 30, 40, 50)))
    asyncio.run(client.aclose())

    assert one_after_the_other + at_once == [True] * 6


def test_a_closed_client_says_so(server):
    async def use():
        client = AsyncStorageClient(server.endpoint)
        await client.server_info()
        await client.aclose()
        await client.aclose()
        await client.server_info()

    with pytest.raises(StorageError, match="closed"):
        asyncio.run(use())


def test_a_client_that_went_through_pickle_works_and_carries_no_secret(server):
    client = AsyncStorageClient(server.endpoint, "planted-access", "planted-secret", max_threads=3)
    data = pickle.dumps(client)

    async def use(copy):
        async with copy:
            return await copy.put_object("bucket", "pickled", b"x")

    assert asyncio.run(use(pickle.loads(data)))["size"] == 1
    assert b"planted" not in data
    assert "planted-secret" not in repr(client)


def use_in_child(client, answers):
    answers.put(asyncio.run(client.get_object("bucket", "shared")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", [pytest.param("fork", marks=pytest.mark.forks), "spawn", "forkserver"])
def test_a_client_in_use_goes_on_in_a_child_process_and_in_the_parent(server, method):
    client = AsyncStorageClient(server.endpoint)
    asyncio.run(client.put_object("bucket", "shared", b"both"))
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    child = context.Process(target=use_in_child, args=(client, answers))
    child.start()
    parent = asyncio.run(client.get_object("bucket", "shared"))
    child.join(60)

    assert (child.exitcode, answers.get(), parent) == (0, b"both", b"both")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["client.bucket_exists('behind-the-gate')", "client.put_object('b-b', 'k', never())"])
def test_a_process_ends_though_its_loop_was_left_in_the_middle_of_a_call(server, what):
    code = f"""
import asyncio, sys
from actorc.storage import AsyncStorageClient

async def never():
    yield b"x"
    await asyncio.Event().wait()

client = AsyncStorageClient(sys.argv[1])
loop = asyncio.new_event_loop()
loop.run_until_complete(client.server_info())
task = loop.create_task({what})
loop.run_until_complete(asyncio.wait([task], timeout=0.2))
print("left")
"""
    left = subprocess.run(
        [sys.executable, "-c", code, server.endpoint], capture_output=True, text=True, timeout=20, check=False
    )

    assert (left.returncode, left.stdout) == (0, "left\n")
