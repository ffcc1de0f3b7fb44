"""Several messages as one: what goes together, and to whom."""

from __future__ import annotations

import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.client.address import ControllerChoice
from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.remote_references import CallKey
from actorc.controller.client.session.outbox import Outbox
from actorc.controller.client.session.session import Session
from actorc.controller.local import messages
from actorc.controller.protocol import batching as batches
from actorc.controller.protocol.value_codec import Encoded

SECONDS = 30
SIZES = st.sampled_from([0, 1, 300, 20_000, batches.SMALL - 100, batches.SMALL, 3 * batches.SMALL])


def message(number, size=0):
    command = pb.AppendPyFunc(name=str(number), pickled_object=bytes(size))
    return pb.Message(type=pb.FR_APPEND_PY_FUNC, append_py_func=command).SerializeToString()


def taken(waiting):
    while waiting:
        yield b"".join(batches.next_message(waiting))


@given(st.lists(SIZES, max_size=60))
def test_what_went_together_comes_out_in_order_and_large_messages_go_alone(sizes):
    singles = [message(number, size) for number, size in enumerate(sizes)]
    sent = list(taken(deque((each,) for each in singles)))
    received = [each.message.SerializeToString() for whole in sent for each in messages.from_client(whole)]

    assert received == singles
    assert all(len(whole) < batches.MAX_SIZE + 10 * batches.MAX_COUNT for whole in sent)
    assert [whole for whole in sent if whole in singles and len(whole) >= batches.SMALL] == [
        each for each in singles if len(each) >= batches.SMALL
    ]


def test_a_batch_has_no_more_messages_than_are_good():
    counts = [len(messages.from_client(whole)) for whole in taken(deque((message(n),) for n in range(600)))]

    assert counts == [256, 256, 88]


def test_an_outbox_sends_one_by_one_until_the_other_end_takes_batches():
    outbox = Outbox()
    outbox.put((b"1",), (b"2",))
    outbox.put((b"3",))
    one_by_one = [b"".join(next(outbox)) for _ in range(3)]
    outbox.batches = True
    outbox.put((message(1),), (message(2),))
    outbox.put((message(3),))
    outbox.close()
    (together,) = [b"".join(each) for each in outbox]

    assert one_by_one == [b"1", b"2", b"3"]
    assert [each.append_py_func.name for each in pb.Message.FromString(together).batch] == ["1", "2", "3"]


@pytest.fixture
def platform():
    """A controller that knows nothing of batches, and what it received."""
    received = []

    def session(requests, _):
        for request in requests:
            received.append(request)
            if request.type == pb.FR_REGISTER_REQUEST:
                yield pb.Message(type=pb.ACK, ack=pb.Ack())
            if request.type == pb.FR_INVOKE:
                call = request.invoke
                answer = pb.ReturnResult(
                    session_id=call.session_id, instance_id=call.instance_id, name=call.name, error="no"
                )
                yield pb.Message(type=pb.BK_RETURN_RESULT, return_result=answer)

    handler = grpc.stream_stream_rpc_method_handler(session, pb.Message.FromString, pb.Message.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("controller.Service", {"Session": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", received
    server.stop(None).wait()


def test_a_platform_without_batches_gets_none(platform):
    address, received = platform
    choice = ControllerChoice(address, "app")
    session = Session(choice.destination(), "app", choice.timeouts)
    definition = Definition.of(lambda a: a, {"name": "f", "replicas": 200})
    calls = [CallKey(session_id="run", instance_id=str(number), function="f") for number in range(200)]
    started = [session.start(definition, call, {"a": Encoded(data=b"")}) for call in calls]
    errors = [future.exception(SECONDS) for future in started]
    session.close()

    assert [each for each in received if each.batch] == []
    invoked = [each.invoke.instance_id for each in received if each.type == pb.FR_INVOKE]
    assert invoked == [call.instance_id for call in calls]
    assert len(errors) == 200


def requested(*ids):
    return [pb.Message(type=pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id=each)) for each in ids]


def test_a_client_that_announces_no_batches_gets_none(raw):
    raw.outgoing.put(pb.Message(batch=requested(*map(str, range(200)))))
    answers = [raw.receive() for _ in range(200)]

    assert [each.response_object.id for each in answers] == [str(number) for number in range(200)]


@pytest.fixture
def batching(controller, connect):
    """A session of a client that takes batches."""
    session = connect(controller.address)
    client = pb.RegisterRequest(application_id=f"tests.{uuid.uuid4().hex[:8]}", batches=True)
    session.send(pb.FR_REGISTER_REQUEST, register_request=client)
    assert session.receive().ack == pb.Ack(batches=True)
    return session


def test_a_client_that_announces_batches_gets_them(batching):
    batching.outgoing.put(pb.Message(batch=requested(*map(str, range(200)))))
    answer = batching.receive()

    assert [each.response_object.id for each in answer.batch] == [str(number) for number in range(200)]


def test_a_large_answer_goes_between_small_ones_and_alone(batching):
    batching.add(lambda n: b"x" * n, name="make")
    batching.start("make", n=1 << 20)
    large = batching.result().value.ref.id
    batching.outgoing.put(pb.Message(batch=requested("1", "2", large, "3", "4")))
    answers = [batching.receive() for _ in range(3)]

    assert [[each.response_object.id for each in answer.batch] for answer in answers] == [["1", "2"], [], ["3", "4"]]
    assert answers[1].response_object.id == large
    assert len(answers[1].response_object.value.data) > 1 << 20
