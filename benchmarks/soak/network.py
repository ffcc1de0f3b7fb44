"""A bad network: a TCP proxy that cuts, resets, stalls, flips and duplicates now and then."""

from __future__ import annotations

import asyncio
import random
import struct
import threading
from collections import Counter
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET, socket

PIECE = 64 << 10
STALL = 6.0
"""Seconds; longer than the idle timeout of the load."""
KINDS = ("cut", "reset", "stall", "flip", "duplicate")


class BadNetwork:
    """A TCP proxy in a thread of its own.

    Args:
        target: Where to, ``HOST:PORT``.
        odds: Pieces of at most 64 KiB for each fault, on average.

    Attributes:
        endpoint: Its own address.
        faults: Number of faults of each kind.
    """

    def __init__(self, target: str, odds: int) -> None:
        self.faults: Counter[str] = Counter()
        self._host, _, self._port = target.rpartition(":")
        self._random = random.Random(odds)
        self._odds = odds
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(self._serve(ready))
        self._loop.run_forever()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.close()
            return
        with suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        for end in (writer, there[1]):
            end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(PIECE):
            sink.write(await self._harmed(data, sink))
            await sink.drain()
        sink.close()

    async def _harmed(self, data: bytes, sink: asyncio.StreamWriter) -> bytes:
        if self._random.randrange(self._odds):
            return data
        kind = self._random.choice(KINDS)
        self.faults[kind] += 1
        match kind:
            case "stall":
                await asyncio.sleep(STALL)
            case "flip":
                at = self._random.randrange(len(data))
                return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]
            case "duplicate":
                return data * 2
            case "reset":
                raw: socket = sink.get_extra_info("socket")
                raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                raise ConnectionResetError
            case _:
                raise ConnectionAbortedError
        return data
