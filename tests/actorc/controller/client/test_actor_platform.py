"""What the client sends to a platform that stops for ever if it is asked for more than it can bear.

The platform here answers what a test tells it to, and nothing else.
"""

from __future__ import annotations

import pickle
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.client.address import ControllerChoice
from actorc.controller.client.calls import Calls
from actorc.controller.client.connection import Connection
from actorc.controller.client.functions.definition import Definition
from actorc.controller.errors import (
    ControllerError,
    ControllerTimeoutError,
    ControllerUnavailableError,
    RemoteFunctionError,
)

SECONDS = 30
UNKNOWN = b"\xaa\x06\x03new"  # field 101, of which nobody here has heard


class Platform:
    """A controller of one session; a test takes what the client sent and decides on the answers."""

    def __init__(self):
        self.answers_marks = True
        self.silent_ids = set()
        self.registered = []
        self._sent = queue.SimpleQueue()
        self._answers = queue.SimpleQueue()

    def serve(self, requests, context):
        answers = self._answers = queue.SimpleQueue()
        context.add_callback(lambda: answers.put(None))
        threading.Thread(target=self._take, args=(requests, answers), daemon=True).start()
        yield from iter(answers.get, None)

    def _take(self, requests, answers):
        silent = False
        with suppress(grpc.RpcError):
            for request in requests:
                if request.type == pb.FR_REGISTER_REQUEST:
                    self.registered.append(request.register_request.application_id)
                    silent = self.registered[-1] in self.silent_ids
                    answers.put(pb.Message(type=pb.ACK, ack=pb.Ack()))
                elif request.type == pb.FR_APPEND_DATA:
                    if self.answers_marks and not silent:
                        self.answer_mark(request)
                elif request.type != pb.FR_MARK_DAG_NODE_DONE:
                    self._sent.put(request)

    def answer_mark(self, request=None):
        identity = request.append_data.object.id if request else "lucas-storage.mark"
        self._answer(pb.ReturnResult(name=identity, value=data(identity)))

    def _answer(self, result):
        self._answers.put(pb.Message(type=pb.BK_RETURN_RESULT, return_result=result))

    def next(self):
        """Return what the client sent next."""
        return self._sent.get(timeout=SECONDS)

    def definition(self):
        message = self.next()
        assert message.type == pb.FR_APPEND_PY_FUNC
        return message.append_py_func

    def call(self):
        """Return the arguments of the next call in their order, and what started it."""
        arguments = []
        while (message := self.next()).type == pb.FR_APPEND_ARG:
            arguments.append(message.append_arg)
        assert message.type == pb.FR_INVOKE
        return arguments, message.invoke

    def is_quiet(self):
        return self._sent.empty()

    def returned(self, invoke, value=None):
        names = {"session_id": invoke.session_id, "instance_id": invoke.instance_id, "name": invoke.name}
        self._answer(pb.ReturnResult(**names, value=value or data(f"result of {invoke.instance_id}")))

    def failed(self, invoke, error):
        names = {"session_id": invoke.session_id, "instance_id": invoke.instance_id, "name": invoke.name}
        self._answer(pb.ReturnResult(**names, error=error))

    def send_object(self, **fields):
        self._answers.put(pb.Message(type=pb.BK_RESPONSE_OBJECT, response_object=pb.ResponseObject(**fields)))


def data(identity):
    """Return a reference as the platform makes it, with a store and fields that were added since."""
    value = pb.Data(
        type=pb.Data.OBJECT_REF, ref=pb.Flow(id=identity, source=pb.StoreRef.FromString(b"\x0a\x05store" + UNKNOWN))
    )
    value.MergeFromString(UNKNOWN)
    return value


@pytest.fixture
def platform():
    served = Platform()
    handler = grpc.stream_stream_rpc_method_handler(served.serve, pb.Message.FromString, pb.Message.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("controller.Service", {"Session": handler}),))
    served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield served
    server.stop(None).wait()


@pytest.fixture
def connect(platform):
    """Return a connection to the platform, and close it at the end."""
    connections = []

    def make(app_id=None):
        connections.append(Connection(ControllerChoice(platform.address, app_id)))
        return connections[-1]

    yield make
    for each in connections:
        each.close()


@pytest.fixture
def calls(connect):
    with Calls(connect()) as made:
        yield made


def define(function=lambda a, b=0: a, **config):
    return Definition.of(function, {"name": "f", "venv": "v", **config})


def test_a_reference_goes_back_exactly_as_it_came(platform, calls):
    first = calls.start(define(), {"a": 1})
    platform.definition()
    _, invoke = platform.call()
    sent = data("r")
    platform.returned(invoke, sent)
    calls.start(define(lambda c: c, name="g"), {"c": first.result(SECONDS)})
    platform.definition()
    (argument,), _ = platform.call()

    assert argument.value.SerializeToString() == sent.SerializeToString()
    assert UNKNOWN in argument.value.ref.source.SerializeToString()


def test_references_go_before_values(platform, calls):
    made = calls.start(define(), {"a": 1})
    platform.definition()
    platform.returned(platform.call()[1])
    result = made.result(SECONDS)
    calls.start(define(lambda p, q, r, s: p, name="g"), {"p": 1, "q": result, "r": 2, "s": result})
    platform.definition()
    arguments, _ = platform.call()

    assert [each.param for each in arguments] == ["q", "s", "p", "r"]


def test_no_more_calls_are_sent_than_there_are_replicas(platform, calls):
    definition = define(replicas=2)
    started = [calls.start(definition, {"a": number}) for number in range(5)]
    assert platform.definition().replicas == 2
    under_way = [platform.call()[1], platform.call()[1]]
    begun = [each.instance_id for each in under_way]
    while under_way:
        assert platform.is_quiet()
        platform.returned(under_way.pop(0))
        started.pop(0).result(SECONDS)
        if len(begun) < 5:
            under_way.append(platform.call()[1])
            begun.append(under_way[-1].instance_id)

    assert begun == ["1", "2", "3", "4", "5"]


def test_a_replica_that_failed_is_replaced_under_another_name(platform, calls):
    definition = define(name="of.mine::f", replicas=2)
    started = [calls.start(definition, {"a": number}) for number in range(3)]
    first = platform.definition()
    one, two = platform.call()[1], platform.call()[1]
    platform.failed(one, f"{one.name}: execution failed\nValueError: on purpose: really")
    second = platform.definition()
    _, three = platform.call()
    platform.returned(two)
    platform.returned(three)

    with pytest.raises(RemoteFunctionError, match=r"'of.mine::f' raised ValueError on its worker, on purpose: really"):
        started[0].result(SECONDS)
    assert [each.result(SECONDS).id for each in started[1:]] == ["result of 2", "result of 3"]
    assert (first.replicas, second.replicas) == (2, 1)
    assert (two.name, three.name) == (first.name, second.name)
    assert first.name != second.name
    assert not {".", ":"} & set(first.name + second.name)
    assert first.pickled_object == second.pickled_object


def test_two_sessions_give_a_function_different_names(platform, connect):
    names = []
    for _ in range(2):
        with Calls(connect()) as calls:
            calls.start(define(), {"a": 1})
            names.append(platform.definition().name)
            platform.call()

    assert len(set(names)) == 2


def test_a_changed_function_is_another_one_on_the_platform(platform, calls):
    calls.start(define(), {"a": 1})
    before = platform.definition()
    platform.call()
    calls.start(define(lambda a, b=0: b), {"a": 1})

    assert platform.definition().name != before.name
    platform.call()


def test_a_function_without_parameters_gets_a_hidden_one(platform, calls):
    calls.start(define(lambda: 7), {})
    made = platform.definition()
    (argument,), _ = platform.call()

    assert list(made.params) == [argument.param]
    assert pickle.loads(made.pickled_object)(**{argument.param: pickle.loads(argument.value.encoded.data)}) == 7


def test_what_has_a_hidden_parameter_needs_nothing_of_ours_on_its_worker(tmp_path):
    (tmp_path / "pickled").write_bytes(define(lambda: 7).pickled())
    code = """
import pickle, sys
sys.modules["actorc"] = sys.modules["lucas_storage"] = None
print(pickle.loads(open(sys.argv[1], "rb").read())(_=None))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "pickled")]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "7\n"


def test_a_call_that_waits_and_is_given_up_is_never_sent(platform, connect):
    definition, through = define(), connect()
    with Calls(through) as first:
        held = first.start(definition, {"a": 1})
        platform.definition()
        _, invoke = platform.call()
        with Calls(through) as second:
            waiting = second.start(definition, {"a": 2})
        third = Calls(through)
        started = third.start(definition, {"a": 3})
        platform.returned(invoke)
        held.result(SECONDS)
        arguments, invoke = platform.call()
        platform.returned(invoke)

    assert waiting.cancelled()
    assert pickle.loads(arguments[0].value.encoded.data) == 3
    assert started.result(SECONDS).id == "result of 1"


def test_a_call_given_up_under_way_holds_its_replica_until_it_ends(platform, connect):
    definition, through = define(), connect()
    with Calls(through) as first:
        first.start(definition, {"a": 1})
        platform.definition()
        _, held = platform.call()
    with Calls(through) as second:
        second.start(definition, {"a": 2})
        assert platform.is_quiet()
        platform.returned(held)
        arguments, _ = platform.call()

        assert pickle.loads(arguments[0].value.encoded.data) == 2


def test_a_call_that_does_not_return_is_an_error_and_its_replica_is_replaced(platform, calls):
    definition = define(timeout=0.2)
    late, then = calls.start(definition, {"a": 1}), calls.start(definition, {"a": 2})
    first = platform.definition()
    _, lost = platform.call()

    with pytest.raises(ControllerTimeoutError, match=r"'f' did not return within 0.2 seconds of its call") as caught:
        late.result(SECONDS)
    second = platform.definition()
    platform.returned(platform.call()[1])
    assert then.result(SECONDS).id == "result of 2"

    error = caught.value
    assert (error.function, error.waited_for, error.seconds) == ("f", "call", 0.2)
    assert "No call of it has ever ended, so its venv 'v' with no dependency may not have come about" in str(error)
    assert f"for {lost.name!r}" in str(error)
    assert "300 seconds" in str(error)
    assert isinstance(error, TimeoutError)
    assert first.name != second.name


def test_a_late_answer_gives_the_replica_back(platform, calls):
    definition = define(timeout=0.2)
    late = calls.start(definition, {"a": 1})
    first = platform.definition()
    _, invoke = platform.call()
    assert isinstance(late.exception(SECONDS), ControllerTimeoutError)
    platform.returned(invoke)
    platform.returned(invoke)  # said again, it counts once
    platform.send_object(id="nobody asked")
    again = calls.start(define(lambda c: c, name="g"), {"c": 1})
    platform.definition()
    platform.returned(platform.call()[1])
    again.result(SECONDS)  # so what was said before it has been heard
    calls.start(definition, {"a": 2})

    assert platform.call()[1].name == first.name


def test_ignis_s_own_limit_is_told_as_what_it_is(platform, calls):
    started = calls.start(define(), {"a": 1})
    platform.definition()
    _, invoke = platform.call()
    platform.failed(invoke, f"{invoke.name}: execution failed\nfuture: timeout")

    with pytest.raises(ControllerTimeoutError, match="'f' was ended by ignis, which gives a call 300 seconds"):
        started.result(SECONDS)


def test_a_definition_that_is_not_dealt_with_ends_the_session(platform, connect, monkeypatch):
    monkeypatch.setenv("IGNIS_DEFINITION_TIMEOUT", "0.3")
    with Calls(connect()) as calls:
        before = calls.start(define(lambda c: c, name="g"), {"c": 1})
        platform.definition()
        platform.call()
        platform.answers_marks = False
        started = calls.start(define(dependency=["numpy"], timeout=0.1), {"a": 1})

        with pytest.raises(
            ControllerTimeoutError, match=r"did not deal with the definition of 'f' within 0.3"
        ) as caught:
            started.result(SECONDS)
        with pytest.raises(ControllerUnavailableError, match=r"as 'f' was not made ready there within 0.3 seconds"):
            before.result(SECONDS)
        assert caught.value.waited_for == "definition"
        assert "the venv 'v' with 'numpy' meanwhile" in str(caught.value)
        assert "'lucas-storage' for functions with @with_storage" in str(caught.value)

        platform.answers_marks = True
        platform.definition()
        platform.call()
        after = calls.start(define(lambda c: c, name="g"), {"c": 1})
        platform.definition()
        platform.returned(platform.call()[1])
        assert after.result(SECONDS).id == "result of 3"
    assert len(platform.registered) == 2


def test_the_time_of_a_call_begins_when_its_function_has_been_dealt_with(platform, calls):
    platform.answers_marks = False
    definition = define(timeout=0.2)
    started = calls.start(definition, {"a": 1})
    platform.definition()
    platform.call()
    with pytest.raises(TimeoutError) as caught:
        started.result(0.5)
    assert not isinstance(caught.value, ControllerTimeoutError)
    platform.answer_mark()  # the first one, sent at the registration
    platform.answer_mark()

    assert isinstance(started.exception(SECONDS), ControllerTimeoutError)


def test_a_platform_that_answers_no_marks_is_borne_with(platform, calls):
    platform.answers_marks = False
    definition = define(timeout=0.2)
    first = calls.start(definition, {"a": 1})
    platform.definition()
    platform.returned(platform.call()[1])
    first.result(SECONDS)
    late = calls.start(definition, {"a": 2})
    platform.call()

    assert isinstance(late.exception(SECONDS), ControllerTimeoutError)


def test_a_value_that_does_not_come_is_an_error(platform, connect, monkeypatch):
    monkeypatch.setenv("IGNIS_FETCH_TIMEOUT", "0.2")
    with Calls(connect()) as calls:
        started = calls.start(define(), {"a": 1})
        platform.definition()
        platform.returned(platform.call()[1])

        with pytest.raises(
            ControllerTimeoutError, match=r"the result of 'f' did not come within 0.2 seconds"
        ) as caught:
            calls.fetched(started.result(SECONDS))
        assert (caught.value.waited_for, caught.value.function) == ("value", "f")


def test_a_stream_is_told_as_what_it_is(platform, calls):
    started = calls.start(define(), {"a": 1})
    platform.definition()
    platform.returned(platform.call()[1])
    value = started.result(SECONDS)
    platform.send_object(id=value.id, value=pb.EncodedObject(id=value.id, stream=True))
    fetched = value.connection.fetch(value)
    platform.send_object(id=value.id, value=pb.EncodedObject(id=value.id, stream=True))

    with pytest.raises(ControllerError, match="the result of 'f' is a stream"):
        fetched.result(SECONDS)


def test_a_registration_that_is_not_answered_is_an_error(platform, connect, monkeypatch):
    monkeypatch.setenv("IGNIS_SESSION_TIMEOUT", "0.2")
    monkeypatch.setattr(platform, "_take", lambda requests, answers: None)

    with pytest.raises(ControllerUnavailableError, match=r"did not answer the registration within 0.2 seconds"):
        connect().session()


def test_an_id_whose_application_says_nothing_is_left_for_a_fresh_one(platform, connect, monkeypatch):
    monkeypatch.setattr(Connection, "silence_seconds", 0.2)
    platform.silent_ids.add("mine")
    with Calls(connect("mine")) as calls:
        started = calls.start(define(), {"a": 1})
        platform.definition()
        platform.returned(platform.call()[1])

        assert started.result(SECONDS).id == "result of 1"
    first, second = platform.registered
    assert (first, second.rpartition(".")[0]) == ("mine", "mine")


def test_an_id_whose_application_answers_is_kept(platform, connect):
    connect("mine").session()

    assert platform.registered == ["mine"]


def test_a_venv_that_would_be_a_folder_elsewhere_is_refused():
    for name in ("..", "a/b", "a\\b", "a\nb"):
        with pytest.raises(ControllerError, match="is no venv for 'f', because ignis makes a folder of that name"):
            define(venv=name)


@pytest.mark.parametrize("given", [0, -1, float("inf"), float("nan"), "soon", True])
def test_a_timeout_that_is_none_is_refused_at_decoration(given):
    with pytest.raises(ControllerError, match="is no timeout for 'f'; give seconds above 0"):
        define(timeout=given)


def test_the_embedded_controller_gets_names_as_they_are_and_all_calls_at_once(actor, context):
    @actor(name="of.mine::same")
    def same(x):
        return x

    with Calls() as calls:
        started = [calls.start(same_definition(same), {"x": x}) for x in range(50)]
        session = context._connection.session()
        names = {call.name for call in session._dispatch._sent.values()}
        returned = calls.fetched([each.result(SECONDS) for each in started])

    assert names <= {"of.mine::same"}
    assert returned == list(range(50))


def same_definition(function):
    return function.definition


def test_a_call_that_hangs_in_the_embedded_controller_ends_the_same_way(actor, context):
    @actor(timeout=0.5)
    def hang():
        threading.Event().wait()

    with pytest.raises(ControllerTimeoutError, match=r"^'hang' did not return within 0.5 seconds and was") as caught:
        hang.export()()

    assert (caught.value.function, caught.value.waited_for, caught.value.seconds) == ("hang", "call", 0.5)
