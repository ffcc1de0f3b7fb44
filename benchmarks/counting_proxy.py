"""An HTTP proxy that counts the requests to a server, and the bytes of the bodies that it answers with."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from contextlib import contextmanager

_PIECE = 1 << 18


class Counts:
    """What has passed so far."""

    def __init__(self):
        self._lock = threading.Lock()
        self.requests = self.bytes = 0

    def add(self, *, requests=0, size=0):
        """Count more; any thread may call it."""
        with self._lock:
            self.requests += requests
            self.bytes += size

    def take(self):
        """Return requests and bytes, and begin anew."""
        with self._lock:
            taken, self.requests, self.bytes = (self.requests, self.bytes), 0, 0
        return taken


@contextmanager
def counting(endpoint):
    """Yield the address of a proxy to `endpoint`, ``http://host:port``, and its counts."""
    host, _, port = endpoint.removeprefix("http://").rpartition(":")
    counts = Counts()

    class Connection(socketserver.BaseRequestHandler):
        def handle(self):
            # either side may close at any moment, as a client does that needs no more of an answer
            with socket.create_connection((host, int(port))) as server, contextlib.suppress(OSError, EOFError):
                _pass_on(self.request, server, counts)

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Proxy(("127.0.0.1", 0), Connection) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, name="counting proxy")
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}", counts
        finally:
            proxy.shutdown()
            thread.join()


def _pass_on(client, server, counts):
    asked, answered = client.makefile("rb"), server.makefile("rb")
    while True:
        request, size = _head(asked)
        server.sendall(request)
        _copy(asked, server, size)
        counts.add(requests=1)
        answer, size = _head(answered)
        client.sendall(answer)
        if not request.startswith(b"HEAD "):
            _copy(answered, client, size, counts)


def _head(file):
    """Return the lines of a request or an answer up to its body, and the bytes of that."""
    lines, size = [], 0
    while not lines or lines[-1].strip():
        lines.append(file.readline())
        if not lines[-1]:
            raise EOFError
        name, _, value = lines[-1].partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        if name.lower() == b"transfer-encoding":
            raise ValueError("a body without a length is not counted here")
    return b"".join(lines), size


def _copy(source, target, size, counts=None):
    while size:
        piece = source.read1(min(size, _PIECE))
        if not piece:
            raise EOFError
        target.sendall(piece)
        size -= len(piece)
        if counts is not None:
            counts.add(size=len(piece))
