"""A real storage server in this process whose network, disk, clock and life a test commands."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access_keys import own_key
from actorc.storage.server.engines.local import LocalEngine

from . import stored_bytes
from .fault import Fault
from .faulty_disk import FaultyDisk
from .proxy import Proxy
from .socket_proxy import SocketProxy
from .wire_fault import Direction, Kind, WireFault

_MOST_SKEW: Final = 100 * 365 * 24 * 3600.0
"""Seconds; a date far beyond has no representation, and would fail somewhere in the server."""


@contextmanager
def faulty_server(data: str | os.PathLike[str], **options: Any) -> Iterator[FaultyServer]:
    """Serve a data directory from this process, on a free port of 127.0.0.1, until the block ends, and so its faults.

    The server is durable, has one access key, and creates buckets as they are written to. Clients reach it over TCP;
    one that may use the Unix socket of a server on the same machine (``local=True``, the default of `StorageClient`)
    reaches it over that. Faults of the network act on both.

    Args:
        data: The data directory, made if it does not exist.
        options: Further fields of `ServerOptions`.

    Raises:
        StorageError: The directory cannot be opened.
    """
    server = FaultyServer(Path(data), **options)
    try:
        yield server
    finally:
        server.close()


class FaultyServer:
    """A storage server and the faults it can be given. Any thread may call it.

    Each method that begins a fault returns it. The fault lasts until its `end` is called, its ``with`` block ends, or
    the server is closed. Any number of faults may act at the same time. Bytes are counted from the moment the fault
    begins, of all connections together, and are those of the protocol: over TCP somewhat more than those of objects;
    over the Unix socket, where files are passed, far fewer.

    Attributes:
        endpoint: ``host:port`` for clients; the same after restarts.
        access_key: Of the only key.
        secret_key: The secret of the access key.
    """

    def __init__(self, data: Path, **options: Any) -> None:
        self._data = data
        self._options = options
        self._own, self.secret_key = own_key(closes=True)
        self.access_key = self._own.key.id
        self._disk = FaultyDisk()
        # Faults of one kind at the same time; the last to end heals.
        self._full = self._stopped = 0
        self._skews: list[float] = []
        self._start()
        network = Proxy(self._server.address)
        self.endpoint = network.endpoint
        self._proxies = [network]
        with suppress(OSError):  # on a machine without Unix sockets of servers
            self._proxies.append(SocketProxy(self._server.address, self.endpoint))

    def client(self, **options: Any) -> StorageClient:
        """Return a new client with the key of the server; `options` are further arguments of `StorageClient`.

        A call that fails is tried again for 30 s, and a transfer may be silent for 60 s; ``timeout=`` and
        ``idle_timeout=`` shorten that, in seconds, and ``retry=RetryPolicy(attempts=1)`` tries once.
        """
        return StorageClient(self.endpoint, self.access_key, self.secret_key, **options)

    def direct_client(self, **options: Any) -> StorageClient:
        """Return a new client that no fault of the network reaches, to look at what is stored."""
        return StorageClient(self._server.address, self.access_key, self.secret_key, **options)

    def cut(self, *, after: int = 0, direction: Direction = "down", times: int | None = 1) -> WireFault:
        """Cut connections: the one that carries the byte behind the next `after` ones, and again as many later.

        Reads and downloads go on at the byte where they broke, uploads are sent again or resumed, and the caller sees
        nothing. If no attempt gets through (``times=None``), the call raises a `NetworkError` after some seconds.

        Args:
            after: Bytes that pass before.
            direction: ``up``, towards the server, or ``down``; the bytes that count.
            times: How many connections are cut; None: connection after connection.
        """
        return self._on_the_wire("cut", after, direction, times, self._proxies)

    def stall(self, *, after: int = 0, direction: Direction = "down") -> WireFault:
        """Withhold everything behind the next `after` bytes, on all connections; they stay open.

        A call without a body raises a `DeadlineExceededError`, which is a `NetworkError`, once its ``timeout`` is over.
        A transfer is tried anew once nothing has moved for its ``idle_timeout``, and raises the same error after some
        attempts. When the fault ends, the bytes arrive.
        """
        return self._on_the_wire("stall", after, direction, None, self._proxies)

    def flip_bit(self, *, after: int = 0, direction: Direction = "down", times: int | None = 1) -> WireFault:
        """Flip a bit of the byte behind the next `after` ones, and again as many later; over TCP only.

        A damaged message is noticed, wherever the bit lies, and sent again; the caller sees nothing. If that goes on,
        the call raises a `NetworkError` or an `IntegrityError`. It never returns wrong bytes, nor stores them.
        """
        return self._on_the_wire("flip", after, direction, times, self._proxies[:1])

    def flip_stored_bit(self, bucket: str, key: str, *, at: int = 0) -> None:
        """Flip a bit of a stored object, as a bad disk does; this lasts until the object is written anew.

        Reads of the block of 1 MiB that it lies in raise an `IntegrityError`, and so does a step that is given the
        artifact. Other blocks are read as before.

        Args:
            bucket: The bucket.
            key: The key.
            at: Number of the byte, from 0.

        Raises:
            NotFoundError: There is no such object.
            InvalidParameterError: It has no such byte.
        """
        stored_bytes.flip_bit(self._engine, bucket, key, at)

    def full_disk(self) -> Fault:
        """Leave no room on the disk of the server.

        Whatever stores data raises a `ResourceExhaustedError` after some attempts, an upload that is under way as well,
        and nothing of it becomes visible. Reads, listings and deletes succeed.
        """
        self._count_full(1)
        return Fault(lambda: self._count_full(-1))

    def skew_clock(self, seconds: float) -> Fault:
        """Let the server's clock be ahead by `seconds`, or behind if they are negative.

        Up to a day, a client corrects the time that it signs with, and logs a warning; the caller sees nothing. Beyond,
        calls raise a `PermissionError`. The server goes by its time in ``last_modified``, and in the expiry of objects
        with a ``ttl`` and of presigned URLs. Several skews add up.

        Raises:
            InvalidParameterError: `seconds` is no number, or more than a century.
        """
        if not isinstance(seconds, (int, float)) or not abs(seconds) <= _MOST_SKEW:
            raise InvalidParameterError(f"a skew is a number of seconds, a century at most; not {seconds!r}")
        self._skews.append(seconds)
        return Fault(lambda: self._skews.remove(seconds))

    def restart(self) -> None:
        """Stop the server and start it again over the same directory; calls that run are cancelled.

        Transfers go on, calls are sent again, and the caller sees nothing. An acknowledged write is still there; an
        upload that was not committed is not.
        """
        self.stop().end()

    def stop(self) -> Fault:
        """Stop the server; calls that run are cancelled, and connections refused until the fault ends.

        Calls are tried again until their ``timeout``, and then raise a `NetworkError`; those that are still trying when
        the fault ends succeed.
        """
        self._stopped += 1
        for proxy in self._proxies:
            proxy.refuse()
        self._server.stop(0)
        return Fault(self._resume)

    def close(self) -> None:
        """Stop the server, and end the faults of its network."""
        # the socket before the port that it is named after
        for proxy in reversed(self._proxies):
            proxy.close()
        self._server.stop(0)

    def _on_the_wire(
        self, kind: Kind, after: int, direction: Direction, times: int | None, proxies: Sequence[Proxy]
    ) -> WireFault:
        _check_place(after, direction, times)
        standing = [proxy.standing[direction] for proxy in proxies]

        def heal() -> None:
            for faults in standing:
                faults.remove(fault)

        fault = WireFault(kind, after, times=times, heal=heal)
        for faults in standing:
            faults.append(fault)
        return fault

    def _start(self) -> None:
        settings: dict[str, Any] = {"listen": "127.0.0.1:0", "grace": 0.0, "auto_create_buckets": True, **self._options}
        self._engine = LocalEngine(self._data, fsops=self._disk, clock=self._now)
        options = ServerOptions(data=self._data, **settings)
        self._server = StorageServer(options, engine=self._engine, own=self._own, clock=self._now)
        self._server.start()

    def _resume(self) -> None:
        self._stopped -= 1
        if self._stopped:  # by another fault
            return
        self._start()
        for proxy in self._proxies:
            proxy.target = self._server.address
            proxy.accept()

    def _now(self) -> float:
        return time.time() + sum(self._skews)

    def _count_full(self, more: int) -> None:
        self._full += more
        self._disk.is_full = self._full > 0


def _check_place(after: object, direction: object, times: object) -> None:
    if direction not in ("up", "down") or not isinstance(after, int) or after < 0:
        raise InvalidParameterError(
            f"a direction is 'up' or 'down', and after at least 0; not {direction!r}, {after!r}"
        )
    if times is not None and (not isinstance(times, int) or times < 1):
        raise InvalidParameterError(f"times is at least 1, or None for until it ends; not {times!r}")
