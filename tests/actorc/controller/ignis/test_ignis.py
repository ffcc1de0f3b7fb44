"""What ignis's controller does with the messages of a client; said of its double, and of the genuine one.

That something is never answered is seen when another application, which asked for the same later, has its answer.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import sys
import threading
import uuid

import cloudpickle
import grpc
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from tests.actorc.controller.ignis.ignis_double import Ignis

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers of the genuine ignis have no tests to import


def inc(x):
    return x + 1


def picky(x):
    if x < 0:
        raise ValueError("below zero")
    return x


def nothing():
    return 7


class Client:
    """An application: a session whose answers are collected as they come."""

    def __init__(self, session):
        self.session = session
        self.app_id = f"tests.{uuid.uuid4().hex[:8]}"
        assert session.register(self.app_id) == ""
        self.answers = queue.SimpleQueue()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        with contextlib.suppress(grpc.RpcError):
            for answer in self.session.stream:
                self.answers.put(answer)

    def add(self, function, **fields):
        self.session.add(function, **fields)

    def start(self, name, instance, **args):
        self.session.start(name, instance, **args)

    def result(self):
        return self.answers.get(timeout=30).return_result

    def value(self, result):
        self.request(result.value.ref.id)
        return pickle.loads(self.answers.get(timeout=30).response_object.value.data)

    def request(self, object_id):
        self.session.send(pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id=object_id))

    def call(self, name, instance="call", **args):
        self.start(name, instance, **args)
        result = self.result()
        return result.error or self.value(result)


@pytest.fixture
def application(ignis, connect):
    """Open applications of the controller."""
    return lambda: Client(connect(ignis))


@pytest.fixture
def client(application):
    made = application()
    made.add(inc)
    return made


@pytest.fixture
def works(application):
    """Say that the controller itself goes on, and has had the time for what was asked of it before."""

    def check():
        other = application()
        other.add(inc)
        assert other.call("inc", x=1) == 2

    return check


def copy(result, **source):
    """Return a result whose reference names another source, or none."""
    return pb.ReturnResult(
        value=pb.Data(
            type=pb.Data.OBJECT_REF,
            ref=pb.Flow(id=result.value.ref.id, source=pb.StoreRef(**source) if source else None),
        )
    )


def test_a_result_is_a_reference_that_names_the_store_with_more_than_we_know_of_it(client):
    client.start("inc", "1", x=1)
    source = client.result().value.ref.source

    assert source.id == f"store-{client.app_id}"
    assert source.SerializeToString() != pb.StoreRef(id=source.id).SerializeToString()


def test_a_reference_is_an_argument_as_it_came(client):
    client.start("inc", "1", x=1)

    assert client.call("inc", "2", x=client.result()) == 3


def test_a_reference_that_names_no_store_is_lost_with_the_replica_that_it_took(client, works):
    client.add(picky, replicas=2)
    client.start("inc", "1", x=1)
    made = client.result()
    client.start("picky", "lost", x=copy(made))

    assert client.call("picky", "2", x=made) == 2
    assert client.value(made) == 2
    client.start("picky", "3", x=made)
    assert client.result().instance_id == "3"

    client.start("picky", "lost too", x=copy(made, id="store-elsewhere"))
    client.start("picky", "4", x=made)
    works()
    assert client.answers.empty()


def test_replicas_run_at_once_and_one_call_more_brings_the_application_to_a_standstill(client, works):
    client.add(picky, replicas=2)
    for instance in "12":
        client.start("picky", instance, x=1)
    assert {client.result().instance_id for _ in range(2)} == {"1", "2"}

    client.session.append("picky", "x", client.session.data(1), "holds one")
    client.session.append("picky", "x", client.session.data(1), "holds the other")
    client.start("picky", "waits", x=1)
    client.start("inc", "another function", x=1)
    client.request("another answer")
    works()

    assert client.answers.empty()


def test_a_call_holds_its_replica_from_its_first_argument_on(client, works):
    client.add(lambda x, y: x + y, name="both")
    client.session.append("both", "x", client.session.data(1), "1")
    client.start("both", "2", x=1, y=2)
    client.session.append("both", "y", client.session.data(2), "1")
    client.session.send(pb.FR_INVOKE, invoke=pb.Invoke(session_id="run", instance_id="1", name="both"))
    works()

    assert client.answers.empty()


def test_a_call_that_failed_keeps_its_replica(client, works):
    client.add(picky)

    assert client.call("picky", x=-1) == "picky: execution failed\nValueError: below zero"
    client.start("picky", "2", x=1)
    works()
    assert client.answers.empty()


@pytest.mark.parametrize("name", ["picky", "picky~2"])
def test_a_function_that_failed_works_once_it_is_defined_again(client, name):
    client.add(picky)
    client.call("picky", x=-1)
    client.add(picky, name=name)

    assert client.call(name, "2", x=1) == 1


def test_a_function_without_parameters_never_starts(client):
    client.add(nothing)
    client.start("nothing", "1")

    assert client.call("inc", "2", x=1) == 2


def test_a_dot_in_a_name_makes_another_name_of_it(client):
    client.add(inc, name="other.inc")

    assert client.call("other.inc", x=1) == "other.inc: execution failed\nKeyError: 'other'"


def test_a_double_colon_in_a_name_sends_the_result_to_another_call(client):
    client.add(inc, name="other::inc")
    client.start("other::inc", "1", x=1)
    result = client.result()

    assert (result.name, result.session_id, result.instance_id) == ("other", "inc", "run::1")


def test_other_signs_in_a_name_are_taken(client):
    for name in ("in c", "ä", "a:b", "a/b", "inc~2", "<lambda>"):
        client.add(inc, name=name)
        assert [client.call(name, f"{name} {i}", x=i) for i in range(2)] == [1, 2]


def test_objects_and_functions_that_are_not_known_have_no_answer(client):
    client.request("obj.unknown")
    client.start("unknown", "1", x=1)

    assert client.call("inc", "2", x=1) == 2


def test_an_argument_without_a_value_makes_the_application_forget_its_functions(client, works):
    assert client.call("inc", "1", x=1) == 2
    client.session.append("inc", "x", None, "2")
    client.start("inc", "3", x=1)
    works()
    assert client.answers.empty()

    client.add(inc)
    assert client.call("inc", "4", x=1) == 2


def test_what_an_argument_was_sent_as_can_be_fetched(client):
    sent = client.session.data("weather")
    client.session.append("inc", "x", sent, "1")
    client.request(sent.encoded.id)

    assert client.answers.get(timeout=30).response_object.value.data == sent.encoded.data


def test_data_is_answered_in_its_turn_as_the_result_of_no_call(client):
    client.session.send(
        pb.FR_APPEND_DATA,
        append_data=pb.AppendData(session_id="run", object=client.session.data(41).encoded),
    )
    kept = client.result()

    assert (kept.name, kept.session_id, kept.instance_id) == (kept.value.ref.id, "run", "")
    assert client.call("inc", x=kept) == 42


def test_a_definition_that_fails_is_told_to_nobody(client, works):
    command = pb.AppendPyFunc(name="absent", params=["x"], venv="lacks something", requirements=["no-such-thing-0123"])
    client.session.send(pb.FR_APPEND_PY_FUNC, append_py_func=command)
    client.start("absent", "1", x=1)

    assert client.call("inc", "2", x=1) == 2


def test_applications_whose_venvs_have_one_name_share_their_functions(application):
    one, other = application(), application()
    one.add(lambda x: "one", name="shared")
    assert one.call("shared", "1", x=1) == "one"
    other.add(lambda x: "other", name="shared")
    assert other.call("shared", "1", x=1) == "other"

    assert one.call("shared", "2", x=1) == "other"


def test_an_id_in_use_has_no_answer(client, connect, works):
    second = connect(client.session.address)
    answers = queue.SimpleQueue()

    def register():
        with contextlib.suppress(grpc.RpcError):
            answers.put(second.register(client.app_id))

    threading.Thread(target=register, daemon=True).start()
    works()
    assert answers.empty()


def test_a_call_ends_after_a_limit_and_the_function_is_lost_then(connect):
    with Ignis(limit=0.1) as double:
        client = Client(connect(double.address))
        client.add(lambda x: __import__("time").sleep(60), name="sleep")
        assert client.call("sleep", x=1) == "sleep: execution failed\nfuture: timeout"


@pytest.mark.slow
def test_a_worker_that_ends_is_missed_by_nobody_before_the_limit(connect):
    with Ignis(limit=0.5) as double:
        client = Client(connect(double.address))
        client.add(lambda x: __import__("os")._exit(1), name="die")
        client.add(inc)
        assert client.call("die", "1", x=1) == "die: execution failed\nfuture: timeout"
        assert client.call("inc", "2", x=1) == "inc: execution failed\nfuture: timeout"
