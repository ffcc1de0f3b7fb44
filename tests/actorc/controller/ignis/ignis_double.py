"""A stand-in for ignis's controller, with its behaviour towards a client, the bad with the good.

It is built as ignis is: one actor per application handles the client's commands and another one its objects, each takes
one message after the other, and both may wait for a replica of a function. Whatever brings ignis to a standstill
therefore does so here, and ends when the stand-in does:

- a call takes a replica of its function when its first argument is handled, and keeps it until its result; one that
  fails never gives it back
- with no replica free, the actor that asks waits, and all that only it could do waits with it
- a reference goes without an answer unless it names the store that it came from, and so do unknown objects
- a function without parameters never starts; a name is split at dots and at double colons
- what goes wrong in a definition is logged, and told to nobody

python ignis_double.py PORT [LIMIT]    serves until it is interrupted, and says "ready"
"""

from __future__ import annotations

import importlib.metadata
import itertools
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import grpc

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

log = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("ignis_worker.py")
LIMIT = 300.0
"""Seconds that ignis lets a call take."""


class StoppedError(Exception):
    """Ends a wait that the stand-in's own end has overtaken."""


class Actor:
    """Handles messages in order on a thread of its own; one that raises is lost, and the next one is handled."""

    def __init__(self, on_restart=lambda: None):
        self._messages = SimpleQueue()
        self._on_restart = on_restart
        threading.Thread(target=self._run, daemon=True).start()

    def tell(self, handle, *arguments):
        self._messages.put((handle, arguments))

    def stop(self):
        self._messages.put(None)

    def _run(self):
        for handle, arguments in iter(self._messages.get, None):
            try:
                handle(*arguments)
            except StoppedError:
                return
            except Exception:
                log.exception("an actor fails and is started again")
                self._on_restart()


class Group:
    """The free replicas of a function."""

    def __init__(self, count):
        self._free = deque(range(count))
        self._changed = threading.Condition()
        self._is_closed = False

    def take(self):
        """Return a replica, after waiting for as long as there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._is_closed)
            if self._is_closed:
                raise StoppedError
            return self._free.popleft()

    def give_back(self, replica):
        with self._changed:
            self._free.append(replica)
            self._changed.notify()

    def close(self):
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Call:
    """What is known of one call: what it lacks, what it holds, and whether it was told to start."""

    def __init__(self, name, session, instance, function, group):
        self.key = f"{name}::{session}::{instance}"
        self.function = function
        self.group = group
        self.missing = set(function.params)
        self.changed = threading.Condition()
        self.replica = None
        self.args = {}
        self.is_started = False
        self.running = threading.Lock()

    def give(self, param):
        """Take note of an argument; the first one takes a replica."""
        if self.replica is None:
            self.replica = self.group.take()
        with self.changed:
            self.missing.discard(param)
            self.changed.notify_all()

    @property
    def is_complete(self):
        return self.is_started and set(self.function.params) <= self.args.keys()


class Venv:
    """The process in which all functions of a venv run, whichever applications they belong to."""

    def __init__(self, environment):
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, str(WORKER), str(theirs.fileno())]
            self.process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env={**os.environ, **environment}
            )
        self._line = Connection(ours.detach())
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._futures = {}
        threading.Thread(target=self._receive, daemon=True).start()

    def send(self, *message):
        try:
            with self._sending:
                self._line.send(message)
        except OSError:
            log.warning("a worker is gone, and nobody is told")

    def call(self, name, args, limit):
        """Return the value of a call and its language; one that does not answer ends after the limit."""
        number, answer = next(self._numbers), Future()
        self._futures[number] = answer
        self.send("call", number, name, args)
        try:
            data, language, error = answer.result(limit)
        except TimeoutError:
            error = "future: timeout"
        if error:
            raise RuntimeError(error)
        return data, language

    def _receive(self):
        try:
            while True:
                number, *answer = self._line.recv()
                self._futures.pop(number).set_result(answer)
        except (EOFError, OSError):
            log.warning("a worker has ended, and nobody is told")

    def close(self):
        self.process.kill()
        self.process.wait()


class Venvs:
    """The venvs by name, made one after the other; they have what the tests have, and nothing can be installed."""

    def __init__(self, environment):
        self._environment = environment
        self._making = threading.Lock()
        self._venvs = {}

    def get(self, name, requirements):
        for requirement in requirements:
            package = re.match(r"[\w.-]*", requirement)[0]
            if package != "actorc":  # ignis's own, for which the worker here stands
                importlib.metadata.distribution(package)
        with self._making:
            if name not in self._venvs:
                self._venvs[name] = Venv(self._environment)
            return self._venvs[name]

    def close(self):
        for venv in self._venvs.values():
            venv.close()


class Function:
    def __init__(self, command, venv):
        self.name = command.name
        self.params = list(command.params)
        self.venv = venv
        venv.send("add", command.name, command.pickled_object, command.language)

    def call(self, args, limit):
        return self.venv.call(self.name.split(".")[0], args, limit)


class Application:
    """One application: the actor that handles commands, and the one that handles objects."""

    def __init__(self, app_id, venvs, limit, answer):
        self._store_id = f"store-{app_id}"
        self._venvs = venvs
        self._limit = limit
        self._answer = answer
        self._objects = {}
        self._all_groups = []
        self._forget()
        self._controller = Actor(on_restart=self._forget)
        self._store = Actor()

    def handle(self, message):
        self._controller.tell(self._handle, message)

    def close(self):
        for group in self._all_groups:
            group.close()
        for call in list(self._calls.values()):
            with call.changed:
                call.missing = None
                call.changed.notify_all()
        self._controller.stop()
        self._store.stop()

    def _forget(self):
        """Begin anew without functions, as the actor does that handles commands; that with the objects keeps them."""
        self._functions, self._groups, self._calls = {}, {}, {}

    def _handle(self, message):
        match message.WhichOneof("command"):
            case "append_py_func":
                self._define(message.append_py_func)
            case "append_data":
                self._store.tell(self._save, message.append_data.object, lambda ref: self._saved(message, ref))
            case "append_arg":
                self._append(message.append_arg)
            case "invoke":
                self._invoke(message.invoke)
            case "request_object":
                self._store.tell(self._respond, message.request_object.id)

    def _define(self, command):
        try:
            venv = self._venvs.get(command.venv, command.requirements)
        except importlib.metadata.PackageNotFoundError:
            log.exception("a function cannot be deployed, and nobody is told")
            return
        if command.replicas < 0:
            raise ValueError("a negative number of replicas")
        self._functions[command.name] = Function(command, venv)
        self._groups[command.name] = Group(command.replicas or 1)
        self._all_groups.append(self._groups[command.name])

    def _call(self, command):
        key = command.name, command.session_id, command.instance_id
        if key not in self._calls:
            if command.name not in self._functions:
                log.error("the function %r is not known, and nobody is told", command.name)
                return None
            self._calls[key] = Call(*key, self._functions[command.name], self._groups[command.name])
        return self._calls[key]

    def _append(self, command):
        call = self._call(command)
        if call is None:
            return
        if not command.HasField("value"):
            raise ValueError("an argument without a value")
        match command.value.WhichOneof("object"):
            case "ref":
                self._give(call, command.param, command.value.ref)
            case "encoded":
                self._store.tell(self._save, command.value.encoded, lambda ref: self._give(call, command.param, ref))

    def _give(self, call, param, ref):
        """Hand an argument over, on the thread of whichever actor has it."""
        call.give(param)
        self._store.tell(self._deliver, call, param, ref)

    def _invoke(self, command):
        call = self._call(command)
        if call is None:
            return
        with call.changed:
            call.changed.wait_for(lambda: not call.missing)
        if call.missing is None:
            raise StoppedError
        if call.replica is None:
            log.error("a call of %r has no replica, and nobody is told", command.name)
            return
        self._store.tell(self._begin, call)

    def _save(self, encoded, then):
        self._objects[encoded.id] = encoded
        then(pb.Flow(id=encoded.id, source=self._source()))

    def _saved(self, message, ref):
        """Answer data as the result of a call that nobody made."""
        name, session = ref.id, message.append_data.session_id
        value = pb.Data(type=pb.Data.OBJECT_REF, ref=ref)
        self._answer(
            pb.Message(
                type=pb.BK_RETURN_RESULT, return_result=pb.ReturnResult(name=name, session_id=session, value=value)
            )
        )

    def _source(self):
        """Return what says where an object is; the second field is one that the client's own messages lack."""
        address = b"\n\x07nonhost\x12" + bytes([len(self._store_id)]) + self._store_id.encode()
        known = pb.StoreRef(id=self._store_id).SerializeToString()
        return pb.StoreRef.FromString(known + b"\x12" + bytes([len(address)]) + address)

    def _deliver(self, call, param, ref):
        if not ref.HasField("source"):
            raise ValueError(f"the reference {ref.id} does not say where it came from")
        if ref.source.id == self._store_id and ref.id in self._objects:
            call.args[param] = self._objects[ref.id]
            self._run(call)

    def _begin(self, call):
        call.is_started = True
        self._run(call)

    def _run(self, call):
        if call.is_complete:
            args = {param: (value.data, value.language) for param, value in call.args.items()}
            threading.Thread(target=self._execute, args=(call, args), daemon=True).start()

    def _execute(self, call, args):
        try:
            with call.running:
                data, language = call.function.call(args, self._limit)
        except RuntimeError as error:
            result = f"{call.function.name}: execution failed\n{error}"
            self._store.tell(self._controller.tell, self._returned, call, None, result)
            return
        encoded = pb.EncodedObject(id=f"obj.{uuid.uuid4()}", data=data, language=language)
        returned = self._controller.tell
        self._store.tell(self._save, encoded, lambda ref: self._store.tell(returned, self._returned, call, ref, ""))

    def _returned(self, call, ref, error):
        name, session, instance = call.key.split("::", 2)
        result = pb.ReturnResult(name=name, session_id=session, instance_id=instance)
        if error:
            result.error = error
        else:
            result.value.CopyFrom(pb.Data(type=pb.Data.OBJECT_REF, ref=ref))
            if name in self._groups:
                self._groups[name].give_back(call.replica)
        self._answer(pb.Message(type=pb.BK_RETURN_RESULT, return_result=result))

    def _respond(self, object_id):
        if object_id in self._objects:
            found = pb.ResponseObject(id=object_id, value=self._objects[object_id])
            self._answer(pb.Message(type=pb.BK_RESPONSE_OBJECT, response_object=found))


class Ignis:
    """A controller that behaves as ignis's does, on a free port of the loopback interface; a context manager.

    Args:
        port: Where to listen.
        limit: Seconds that a call may take, 300 with ignis.
        environment: What its workers have in their environment beside the rest.

    Attributes:
        address: Where clients reach it.
        received: What clients sent, in the order it came.
    """

    def __init__(self, port=0, limit=LIMIT, **environment):
        self._limit = limit
        self._venvs = Venvs(environment)
        self._applications = {}
        self._registered = set()
        self._registering = threading.Lock()
        self.received = []
        sizes = [("grpc.max_receive_message_length", 1 << 29), ("grpc.max_send_message_length", 1 << 29)]
        self._server = grpc.server(ThreadPoolExecutor(64), options=sizes)
        session = grpc.stream_stream_rpc_method_handler(
            self._session, pb.Message.FromString, pb.Message.SerializeToString
        )
        handlers = {"Session": session}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("controller.Service", handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()
        for application in self._applications.values():
            application.close()
        self._venvs.close()

    def _session(self, requests, context):
        answers = SimpleQueue()
        context.add_callback(lambda: answers.put(None))
        app_id = self._register(requests, answers.put)
        threading.Thread(target=self._receive, args=(requests, app_id), daemon=True).start()
        return iter(answers.get, None)

    def _register(self, requests, answer):
        """Return the application of a stream; one is asked after the other, and a silent one holds up the rest."""
        with self._registering:
            try:
                first = next(requests)
            except (grpc.RpcError, StopIteration):
                log.critical("a client left without a word, of which ignis's whole process dies")
                self._server.stop(None)
                return None
            app_id = first.register_request.application_id
            if first.type != pb.FR_REGISTER_REQUEST or app_id in self._registered:
                log.error("no registration, or one of an id in use; nobody is told")
                return None
            if app_id not in self._applications:
                self._applications[app_id] = Application(app_id, self._venvs, self._limit, answer)
            self._registered.add(app_id)
            answer(pb.Message(type=pb.ACK, ack=pb.Ack()))
            return app_id

    def _receive(self, requests, app_id):
        try:
            for message in requests:
                self.received.append(message)
                if app_id is not None:
                    self._applications[app_id].handle(message)
        except grpc.RpcError:
            pass
        finally:
            self._registered.discard(app_id)


def main():
    with Ignis(int(sys.argv[1]), *map(float, sys.argv[2:])) as ignis:
        print("ready", ignis.address, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
