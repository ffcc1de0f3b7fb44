"""A stand-in for an actor engine without its cluster, for the cost of a value through driver, message and worker.

Each step is one gRPC call to a worker process: arguments and result are pickled, a message holds 512 MiB at most, and
the driver notes the arguments twice in ``dag.json``, as pickle in hexadecimal, and twice in its log, as text.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cloudpickle
import grpc

LIMIT = 512 << 20
OPTIONS = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", -1)]
CALL = "/actor/Call"


class Actor:
    """The driver's side.

    Args:
        channels: One for each worker; steps take them in turns.
        folder: Where ``dag.json`` and the log go.
        pids: The workers.
    """

    def __init__(self, channels, folder, pids):
        self.pids = tuple(pids)
        self._calls = itertools.cycle([channel.unary_unary(CALL) for channel in channels])
        self.dag, self.log = Path(folder, "dag.json"), Path(folder, "log")

    def call(self, name, given):
        call = next(self._calls)
        status, value = cloudpickle.loads(call(cloudpickle.dumps((name, given))))
        if status == "error":
            raise RuntimeError(value)
        noted = {key: cloudpickle.dumps(argument).hex() for key, argument in given.items()}
        self.dag.write_text(json.dumps({"data": noted, "control": [name, noted]}))
        self.log.write_text(f"{name} appargs {given}\n{name} calculate {given}\n")
        return value


@contextmanager
def fake_actor(module, workers=1):
    """Start workers that run the functions in `module`'s ``FUNCTIONS``."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        channels, pids = [], []
        for _ in range(workers):
            command = [sys.executable, "-m", "benchmarks.baselines.fake_actor", module]
            worker = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(worker.stdin.close)
            pids.append(worker.pid)
            address = f"127.0.0.1:{worker.stdout.readline().strip()}"
            channels.append(stack.enter_context(grpc.insecure_channel(address, OPTIONS)))
        yield Actor(channels, folder, pids)


def remote(lucas, actor):
    """Return the class for functions of the engine `lucas` that run on `actor`."""

    class Remote(lucas.Function):
        def _transformfunction(self, fn):
            return lambda given: actor.call(fn.__name__, given)

    return Remote


def _serve(module):
    __import__(module)
    functions = sys.modules[module].FUNCTIONS

    def answer(request, _):
        name, given = cloudpickle.loads(request)
        try:
            return cloudpickle.dumps(("ok", functions[name](**given)))
        except Exception as error:  # noqa: BLE001 -- the driver raises it
            return cloudpickle.dumps(("error", f"{type(error).__name__}: {error}"))

    class Handler(grpc.GenericRpcHandler):
        def service(self, call):
            return grpc.unary_unary_rpc_method_handler(answer) if call.method == CALL else None

    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handler()], options=OPTIONS)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
