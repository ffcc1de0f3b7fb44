"""Baseline: gRPC with plain bytes, without protobuf, disk or checks; a server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager

import grpc

CHUNK = bytes(1 << 20)


class _Handler(grpc.GenericRpcHandler):
    def service(self, call):
        match call.method:
            case "/bare/Down":
                return grpc.unary_stream_rpc_method_handler(lambda n, _: (CHUNK for _ in range(int(n))))
            case "/bare/Up":
                return grpc.stream_unary_rpc_method_handler(lambda chunks, _: str(sum(map(len, chunks))).encode())
            case "/bare/Echo":
                return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


@contextmanager
def bare_server():
    command = [sys.executable, "-m", "benchmarks.bare_grpc"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            yield channel
        process.stdin.close()


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[_Handler()])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)
