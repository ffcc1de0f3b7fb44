"""Small calls that travel together, while the server that serves them is killed and started again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import StorageClient

THREADS, EACH, KILLS = 16, 40, 3
LONG = 60.0
"""Seconds that nothing below takes, unless it fails."""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("local", [True, False], ids=["unix", "tcp"])
def test_puts_are_each_made_once_and_read_back_though_the_server_is_killed(serve_process, local):
    served = serve_process()
    done = threading.Semaphore(0)

    def work(client, number):
        for turn in range(EACH):
            key = f"{number}-{turn}"
            # a second effect would be refused: the first put of the key is there
            client.put_object("bucket", key, key.encode(), if_absent=True)
            assert client.get_object("bucket", key) == key.encode()
            assert client.head_object("bucket", key)["size"] == len(key)
            done.release()

    with StorageClient(served.endpoint, local=local, timeout=LONG) as client, ThreadPoolExecutor(THREADS) as threads:
        working = [threads.submit(work, client, number) for number in range(THREADS)]
        for _ in range(KILLS):
            for _ in range(THREADS * EACH // (KILLS + 1)):
                assert done.acquire(timeout=LONG)
            served.process.kill()
            served.process.wait()
            served = serve_process("--listen", served.endpoint)
        for each in working:
            each.result(LONG)
        listed = {head["key"]: head["size"] for head in client.list_objects("bucket")["objects"]}

    assert len(listed) == THREADS * EACH
