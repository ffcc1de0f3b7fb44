"""A TCP proxy that makes a loopback a link: with a round trip, a bandwidth, and a window for each connection.

    python -m benchmarks.delaying_proxy HOST:PORT [--rtt-ms 20] [--bandwidth MIB_PER_S] [--window MIB]

It prints its own port and ends with its standard input. Every byte arrives half a round trip after it was sent; as many
as the window holds are under way, as for a sender that waits for their acknowledgement; all connections share the
bandwidth of a direction. What it cannot show is loss.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
from contextlib import contextmanager

MiB = 1 << 20
_PIECE = 1 << 18
_KERNEL_BUFFER = 1 << 18


class Direction:
    """One direction of the link, whose bandwidth all connections share."""

    def __init__(self, bandwidth):
        self._bandwidth = bandwidth
        self._free = 0.0

    def sent(self, size):
        """Return when the last of so many bytes has left, if they queue up now."""
        begin = max(asyncio.get_running_loop().time(), self._free)
        self._free = begin + (size / self._bandwidth if self._bandwidth else 0)
        return self._free


class Pipe:
    """One direction of one connection."""

    def __init__(self, direction, rtt, window):
        self._loop = asyncio.get_running_loop()
        self._direction = direction
        self._rtt = rtt
        self._window = window
        self._under_way = 0
        self._room = asyncio.Event()
        self._pieces = asyncio.Queue()

    async def read(self, source):
        """Take what comes, as long as the window has room."""
        while True:
            while self._under_way >= self._window:
                self._room.clear()
                await self._room.wait()
            try:
                data = await self._loop.sock_recv(source, min(_PIECE, self._window - self._under_way))
            except OSError:
                data = b""
            left = self._direction.sent(len(data))
            self._under_way += len(data)
            self._pieces.put_nowait((left + self._rtt / 2, data))
            if not data:
                return
            self._loop.call_at(left + self._rtt, self._acknowledge, len(data))

    def _acknowledge(self, size):
        self._under_way -= size
        self._room.set()

    async def write(self, sink):
        """Pass it on when it has arrived."""
        while True:
            due, data = await self._pieces.get()
            await asyncio.sleep(due - self._loop.time())
            if not data:
                break
            await self._loop.sock_sendall(sink, data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Proxy:
    """Passes connections on to `target`."""

    def __init__(self, target, rtt, bandwidth, window):
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._rtt = rtt
        self._window = window or 1 << 62
        self._up, self._down = Direction(bandwidth), Direction(bandwidth)

    async def serve(self, listener):
        """Accept connections for ever."""
        loop = asyncio.get_running_loop()
        tasks = set()
        while True:
            client, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self._connection(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _connection(self, client):
        loop = asyncio.get_running_loop()
        # the handshake of TCP, which the kernel has made here without the delay
        await asyncio.sleep(self._rtt)
        server = _prepared(socket.socket())
        with _prepared(client), server:
            await loop.sock_connect(server, self._target)
            up, down = (Pipe(direction, self._rtt, self._window) for direction in (self._up, self._down))
            pumps = (up.read(client), up.write(server), down.read(server), down.write(client))
            try:
                # All end before the sockets close: else the loop keeps a number as watched that a later connection has,
                # and never tells that one of its bytes.
                async with asyncio.TaskGroup() as group:
                    for pump in pumps:
                        group.create_task(pump)
            except* OSError:
                pass


def _prepared(end):
    end.settimeout(0)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # what the kernel holds on both sides would be a window of its own
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
    return end


@contextmanager
def delayed(target, *, rtt, bandwidth=0.0, window=0):
    """Yield the ``host:port`` of a proxy in a process of its own.

    Args:
        target: ``host:port`` of the server.
        rtt: Seconds of a round trip.
        bandwidth: Bytes a second of each direction; 0 for no limit.
        window: Bytes under way in each direction of a connection; 0 for no limit.
    """
    command = [sys.executable, "-m", "benchmarks.delaying_proxy", target]
    command += [f"--rtt-ms={rtt * 1000}", f"--bandwidth={bandwidth / MiB}", f"--window={window / MiB}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


async def _main(arguments):
    proxy = Proxy(arguments.target, arguments.rtt_ms / 1000, arguments.bandwidth * MiB, int(arguments.window * MiB))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.settimeout(0)
        print(listener.getsockname()[1], flush=True)
        serving = asyncio.create_task(proxy.serve(listener))
        await asyncio.to_thread(sys.stdin.read)
        serving.cancel()


def _parser():
    parser = argparse.ArgumentParser("python -m benchmarks.delaying_proxy", description=__doc__.partition("\n")[0])
    parser.add_argument("target", help="host:port of the server")
    parser.add_argument("--rtt-ms", type=float, default=20.0, help="milliseconds of a round trip")
    parser.add_argument("--bandwidth", type=float, default=0.0, help="MiB a second of each direction; 0: no limit")
    parser.add_argument("--window", type=float, default=0.0, help="MiB under way in a connection; 0: no limit")
    return parser


if __name__ == "__main__":
    asyncio.run(_main(_parser().parse_args()))
