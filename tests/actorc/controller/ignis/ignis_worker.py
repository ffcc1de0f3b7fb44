"""The Python process of one venv of the stand-in for ignis: python ignis_worker.py FD

Takes ``("add", name, pickled, language)`` and ``("call", number, name, args)``, and runs each call on a thread of its
own; answers ``(number, value, language, error)``. A function that cannot be loaded ends the process, as upstream's.
"""

from __future__ import annotations

import json
import sys
import threading
from multiprocessing.connection import Connection

import cloudpickle

JSON, PYTHON = 1, 3


def decoded(data, language):
    return json.loads(data) if language == JSON else cloudpickle.loads(data)


def encoded(value, language):
    return json.dumps(value).encode() if language == JSON else cloudpickle.dumps(value)


class Worker:
    def __init__(self, line):
        self.line = line
        self.sending = threading.Lock()
        self.functions = {}

    def serve(self):
        while True:
            try:
                message = self.line.recv()
            except EOFError:
                return
            match message:
                case "add", name, pickled, language:
                    self.functions[name] = cloudpickle.loads(pickled), language
                case "call", number, name, args:
                    threading.Thread(target=self.run, args=(number, name, args), daemon=True).start()

    def run(self, number, name, args):
        try:
            function, language = self.functions[name]
            value = function(**{param: decoded(*value) for param, value in args.items()})
            answer = number, encoded(value, language), language, ""
        except Exception as error:  # noqa: BLE001  # travels as the platform's does
            answer = number, b"", 0, f"{type(error).__name__}: {error}"
        with self.sending:
            self.line.send(answer)


if __name__ == "__main__":
    Worker(Connection(int(sys.argv[1]))).serve()
