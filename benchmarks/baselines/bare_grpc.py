"""gRPC with plain bytes, without protobuf, disk or checks; a server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

CHUNK = bytes(1 << 20)


@dataclass(frozen=True)
class Bare:
    """Streams of MiB and calls of any size over one channel; `pids` and `endpoint` are the server's."""

    channel: grpc.Channel
    pids: tuple[int, ...]
    endpoint: str = ""

    def stream(self, size):
        """Iterate over so many bytes, in messages of 1 MiB at most."""
        return self.channel.unary_stream("/bare/Down")(str(size).encode())

    def joined(self, size):
        """Return so many bytes, as a program gets them that knows no more than gRPC."""
        return b"".join(self.stream(size))

    def into_file(self, size, path):
        """Write so many bytes into a file, each message as it comes."""
        with Path(path).open("wb") as file:
            file.writelines(self.stream(size))

    def send(self, size):
        """Send so many bytes."""
        whole, rest = divmod(size, len(CHUNK))
        self.channel.stream_unary("/bare/Up")(iter([*[CHUNK] * whole, CHUNK[:rest]]))

    def echo(self, data):
        """Send bytes and get them back."""
        return self.channel.unary_unary("/bare/Echo")(data)


class _Handler(grpc.GenericRpcHandler):
    def service(self, call):
        match call.method:
            case "/bare/Down":
                return grpc.unary_stream_rpc_method_handler(lambda size, _: _pieces(int(size)))
            case "/bare/Up":
                return grpc.stream_unary_rpc_method_handler(lambda chunks, _: str(sum(map(len, chunks))).encode())
            case "/bare/Echo":
                return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def _pieces(size):
    whole, rest = divmod(size, len(CHUNK))
    yield from [CHUNK] * whole
    if rest:
        yield CHUNK[:rest]


@contextmanager
def bare_server():
    command = [sys.executable, "-m", "benchmarks.baselines.bare_grpc"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        endpoint = f"127.0.0.1:{process.stdout.readline().strip()}"
        with grpc.insecure_channel(endpoint) as channel:
            yield Bare(channel, (process.pid,), endpoint)
        process.stdin.close()


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[_Handler()])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)
