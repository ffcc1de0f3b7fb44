"""Fixtures of the controller's tests: the embedded controller, a process of its own with workers, and clients of it."""

from __future__ import annotations

import inspect
import os
import pickle
import queue
import uuid
from contextlib import ExitStack, closing

import cloudpickle
import grpc
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from lucas_storage.embedded import install

install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine

from actorc.controller import ActorContext, ActorFunction  # noqa: E402  # need Lucas
from actorc.controller.client.connection import establish  # noqa: E402
from actorc.controller.local import LocalController  # noqa: E402
from tests.actorc.controller.ignis.ignis_double import Ignis  # noqa: E402

METHOD = "/controller.Service/Session"
SIZES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
PATIENCE = 100
"""Seconds that a session may last with all its calls, a thousand in one test, before a wait without end is an error."""


@pytest.fixture(autouse=True)
def _no_controller_chosen(monkeypatch, request):
    timeouts = [f"IGNIS_{what}_TIMEOUT" for what in ("SESSION", "DEFINITION", "CALL", "FETCH")]
    for name in ("IGNIS_ADDR", "MASTER_ADDR", "APP_ID", *timeouts):
        monkeypatch.delenv(name, raising=False)
    if "context" in request.fixturenames:
        yield
        return
    establish("localhost:1").close()
    yield
    monkeypatch.undo()
    establish("localhost:1").close()


@pytest.fixture(scope="session")
def controller():
    with LocalController(app_ids=("tests",), max_workers=16) as running:
        yield running


def an_id():
    """Return an application id that the controller of the tests serves, and that nobody has."""
    return f"tests.{uuid.uuid4().hex[:8]}"


class Contexts:
    """One context for test after test, whose worker processes run already; another one after it was closed."""

    def __init__(self, address):
        self._address = address
        self._latest = None

    def open(self):
        if self._latest is None or self._latest._connection.is_closed:
            self._latest = ActorContext.createContext(self._address, an_id())
        return self._latest


@pytest.fixture(scope="module")
def contexts(controller):
    yield Contexts(controller.address)
    establish("localhost:1").close()


@pytest.fixture
def context(contexts):
    """This process as a client of the controller; the application is that of the other tests of the module."""
    return contexts.open()


@pytest.fixture
def own_context(controller):
    """This process as a client of the controller, with an application and a connection of the test's own."""
    made = ActorContext.createContext(controller.address, an_id())
    yield made
    made.close()


@pytest.fixture
def actor(context):
    """A decorator that registers functions for the platform, with or without keywords of its own."""

    def register(fn=None, **config):
        decorator = lucas.function(**{"wrapper": ActorFunction, "provider": "actor", "venv": "tests", **config})
        return decorator if fn is None else decorator(fn)

    return register


class RawSession:
    """A client made of the protocol's messages alone, without this package's client."""

    def __init__(self, address):
        self.address = address
        self.awaited = 0
        self.channel = grpc.insecure_channel(address, SIZES)
        self.outgoing = queue.SimpleQueue()
        method = self.channel.stream_stream(METHOD, pb.Message.SerializeToString, pb.Message.FromString)
        self.stream = method(iter(self.outgoing.get, None), timeout=PATIENCE)

    @property
    def is_idle(self):
        """Whether no call is under way whose result a test left to the next one."""
        return self.awaited == 0 and self.stream.is_active()

    def send(self, number, **command):
        self.awaited += number in {pb.FR_INVOKE, pb.FR_APPEND_DATA}
        self.outgoing.put(pb.Message(type=number, **command))

    def receive(self):
        return next(self.stream)

    def register(self, app_id):
        self.send(pb.FR_REGISTER_REQUEST, register_request=pb.RegisterRequest(application_id=app_id))
        return self.receive().ack.error

    def add(self, function, *, name=None, venv="venv", replicas=1, language=pb.LANGUAGE_PYTHON, pickled=None, **fields):
        command = pb.AppendPyFunc(
            name=name or function.__name__,
            params=list(inspect.signature(function).parameters),
            venv=venv,
            pickled_object=cloudpickle.dumps(function) if pickled is None else pickled,
            language=language,
            replicas=replicas,
            **fields,
        )
        self.send(pb.FR_APPEND_PY_FUNC, append_py_func=command)

    def add_object(self, thing, name, *, venv="venv", pickled=None, **fields):
        """Register an object as Lucas does, whose class gives its methods their names."""
        methods = [
            pb.AppendPyClass.ClassMethod(
                name=f"{type(thing).__name__}.{method}", params=list(inspect.signature(bound).parameters)
            )
            for method, bound in inspect.getmembers(thing, inspect.ismethod)
        ]
        pickled = cloudpickle.dumps(thing) if pickled is None else pickled
        fields = {"language": pb.LANGUAGE_PYTHON, **fields}
        command = pb.AppendPyClass(name=name, methods=methods, venv=venv, pickled_object=pickled, **fields)
        self.send(pb.FR_APPEND_PY_CLASS, append_py_class=command)

    def start_method(self, name, method, session="run", **args):
        """Call a method of an object; `method` comes with the name of the class."""
        of = {"session_id": session, "instance_id": name}
        for param, value in args.items():
            command = pb.AppendClassMethodArg(**of, method_name=method, param=param, value=self.data(value))
            self.send(pb.FR_APPEND_CLASS_METHOD_ARG, append_class_method_arg=command)
        self.send(pb.FR_INVOKE, invoke=pb.Invoke(**of, name=method))

    def call_method(self, name, method, **args):
        """Call a method and return its value, or the error as it travels."""
        self.start_method(name, method, **args)
        result = self.result()
        return result.error or self.value(result)

    def append(self, name, param, value, instance):
        command = pb.AppendArg(session_id="run", instance_id=instance, name=name, param=param, value=value)
        self.send(pb.FR_APPEND_ARG, append_arg=command)

    def start(self, name, instance="1", **args):
        """Call a function; a result that was received before goes as a reference."""
        for param, value in args.items():
            self.append(name, param, self.data(value), instance)
        self.send(pb.FR_INVOKE, invoke=pb.Invoke(session_id="run", instance_id=instance, name=name))

    @staticmethod
    def data(value):
        if isinstance(value, pb.ReturnResult):
            return pb.Data(type=pb.Data.OBJECT_REF, ref=value.value.ref)
        encoded = pb.EncodedObject(id=f"obj.{uuid.uuid4()}", data=cloudpickle.dumps(value), language=pb.LANGUAGE_PYTHON)
        return pb.Data(type=pb.Data.OBJECT_ENCODED, encoded=encoded)

    def result(self):
        received = self.receive().return_result
        self.awaited -= 1
        return received

    def request(self, object_id):
        self.send(pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id=object_id))
        return self.receive().response_object

    def value(self, result):
        return pickle.loads(self.request(result.value.ref.id).value.data)

    def call(self, name, instance="1", **args):
        """Call a function and return its value, or the error as it travels."""
        self.start(name, instance, **args)
        result = self.result()
        return result.error or self.value(result)

    def done(self, instance):
        self.send(pb.FR_MARK_DAG_NODE_DONE, mark_dag_node_done=pb.MarkDagNodeDone(node_id=instance, session_id="run"))

    def close(self):
        self.outgoing.put(None)
        self.channel.close()


@pytest.fixture
def connect():
    """Open streams to a controller, without a registration."""
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(closing(RawSession(address)))


def registered(session):
    assert session.register(an_id()) == ""
    return session


class RawSessions:
    """One session for test after test, whose worker processes run already; another one after it was left busy."""

    def __init__(self, address):
        self._address = address
        self._latest = None

    def open(self):
        if self._latest is None or not self._latest.is_idle:
            self.close()
            self._latest = registered(RawSession(self._address))
        return self._latest

    def close(self):
        if self._latest is not None:
            self._latest.close()


@pytest.fixture(scope="module")
def raw_sessions(controller):
    with closing(RawSessions(controller.address)) as sessions:
        yield sessions


@pytest.fixture
def raw(raw_sessions):
    """A registered session of the controller, with the functions and processes of the module's tests before."""
    return raw_sessions.open()


@pytest.fixture
def fresh(controller, connect):
    """A registered session of the controller that no test had before."""
    return registered(connect(controller.address))


@pytest.fixture(scope="session", params=["a double of ignis", "the genuine ignis"])
def ignis(request):
    """The address of a controller that behaves as ignis's does: a stand-in, or the genuine one where it was started."""
    if request.param == "a double of ignis":
        with Ignis() as double:
            yield double.address
        return
    if "IGNIS_GENUINE" not in os.environ:
        pytest.skip("the genuine ignis was not met: IGNIS_GENUINE does not name its address")
    yield os.environ["IGNIS_GENUINE"]
