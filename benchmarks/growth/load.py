"""Clients that get or put 4 KiB at the same time, in some processes of their own, each client on a thread."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack

PROCESSES = 4
"""At most; each has the interpreter's lock to itself, and more would fight for two processors all the same."""

SECONDS = 1.0


def seconds_a_call(kind, action, count, *endpoint):
    """Return the seconds that a call takes of all clients together, over a fixed time after all are connected.

    Args:
        kind: ``ours``, ``bare`` or ``obstore``.
        action: ``get`` or ``put``.
        count: Number of clients.
        endpoint: The server's, and what else its clients need.
    """
    processes = min(count, PROCESSES)
    shares = [count // processes + (number < count % processes) for number in range(processes)]
    with ExitStack() as stack:
        started = [stack.enter_context(_started(kind, action, share, endpoint)) for share in shares]
        for process in started:
            process.stdout.readline()
        for process in started:
            process.stdin.write("\n")
            process.stdin.flush()
        calls = sum(int(process.stdout.readline()) for process in started)
    return SECONDS / calls


def _started(kind, action, share, endpoint):
    command = [sys.executable, "-m", "benchmarks.growth.load", kind, action, str(share), *endpoint]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _client(kind, action, endpoint):
    """Return a call of a new, connected client, which takes a key."""
    data = bytes(4096)
    if kind == "ours":
        from actorc.storage import StorageClient

        client = StorageClient(endpoint[0])
        client.put_object("load", "one", data)
        if action == "get":
            return lambda _: client.get_object("load", "one")
        return lambda key: client.put_object("load", key, data)
    if kind == "bare":
        import grpc

        # a pool of its own, since channels to one address share a connection otherwise
        channel = grpc.insecure_channel(endpoint[0], [("grpc.use_local_subchannel_pool", 1)])
        echo = channel.unary_unary("/bare/Echo")
        echo(data)
        return lambda _: echo(data)
    from benchmarks.peers.s3 import ObstorePeer, Store

    peer = ObstorePeer(Store("", *endpoint, ()))
    peer.put("one", data)
    return (lambda _: peer.get("one")) if action == "get" else (lambda key: peer.put(key, data))


def _run(kind, action, share, endpoint):
    calls = [_client(kind, action, endpoint) for _ in range(share)]
    done = [0] * share
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + SECONDS

    def repeat(number):
        call = calls[number]
        while time.perf_counter() < end:
            call(f"{number}-{done[number] % 100}-{id(done)}")
            done[number] += 1

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(share)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(done), flush=True)


if __name__ == "__main__":
    kind_, action_, share_, *endpoint_ = sys.argv[1:]
    _run(kind_, action_, int(share_), endpoint_)
