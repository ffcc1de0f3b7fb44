"""The session of one application, without gRPC and without processes."""

from __future__ import annotations

import pickle
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.application import Application, UnsupportedError
from actorc.controller.local.messages import Received, Value
from actorc.controller.local.value_store import ValueStore
from actorc.controller.local.worker_pool import Pool
from actorc.controller.protocol.batching import next_message

GONE = "is not held here any more, or never was; use results within the session that made them"


class Process:
    """Remembers the calls it got; the test returns from them."""

    def __init__(self, on_return, on_end):
        self.on_return, self.on_end = on_return, on_end
        self.calls = []

    def add(self, function):
        pass

    remove = add

    def execute(self, call_id, function, args, method):
        self.calls.append((call_id, function, {name: bytes(value.data) for name, value in args.items()}))

    def end(self):
        pass

    kill = end
    wait = end


class Client:
    """Sends commands to an application and keeps what it answers."""

    def __init__(self):
        self.answers, self.processes = [], []
        self.application = Application(Pool(4, self.start), self.answers.append)

    def start(self, _venv, on_return, on_end, _on_ready):
        self.processes.append(Process(on_return, on_end))
        return self.processes[-1]

    def send(self, number, **command):
        self.application.handle(Received(pb.Message(type=number, **command)))

    def add(self, name="f", params=("x",), **fields):
        fields = {"venv": "venv", "language": pb.LANGUAGE_PYTHON, **fields}
        self.send(pb.FR_APPEND_PY_FUNC, append_py_func=pb.AppendPyFunc(name=name, params=params, **fields))

    def append(self, value, param="x", name="f", instance="1"):
        command = pb.AppendArg(session_id="run", instance_id=instance, name=name, param=param, value=value)
        self.send(pb.FR_APPEND_ARG, append_arg=command)

    def invoke(self, name="f", instance="1"):
        self.send(pb.FR_INVOKE, invoke=pb.Invoke(session_id="run", instance_id=instance, name=name))

    def done(self, instance="1"):
        self.send(pb.FR_MARK_DAG_NODE_DONE, mark_dag_node_done=pb.MarkDagNodeDone(node_id=instance, session_id="run"))

    def request(self, object_id):
        self.send(pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id=object_id))
        return self.last().response_object

    def returns(self, object_id="result", data=b"42"):
        process = next(each for each in self.processes if each.calls)
        process.on_return(process.calls.pop(0)[0], Value(object_id, pb.LANGUAGE_PYTHON, data))

    def last(self):
        return pb.Message.FromString(b"".join(self.answers[-1]))

    def called(self):
        return [[(number, args) for number, _, args in process.calls] for process in self.processes]

    def errors(self):
        return [pb.Message.FromString(b"".join(answer)).return_result.error for answer in self.answers]


@pytest.fixture
def client():
    made = Client()
    made.add()
    return made


def encoded(data=b"1", object_id="arg", **fields):
    value = pb.EncodedObject(id=object_id, data=data, **{"language": pb.LANGUAGE_PYTHON, **fields})
    return pb.Data(type=pb.Data.OBJECT_ENCODED, encoded=value)


def reference(object_id, store=None):
    source = pb.StoreRef(id=store) if store else None
    return pb.Data(type=pb.Data.OBJECT_REF, ref=pb.Flow(id=object_id, source=source))


def appended(instance, value, param):
    command = pb.AppendArg(session_id="run", instance_id=instance, name="f", param=param, value=value)
    return pb.Message(type=pb.FR_APPEND_ARG, append_arg=command)


instances = st.sampled_from("1234")
values = st.sampled_from([encoded(b"small"), encoded(bytes(70_000), "large"), reference("result"), pb.Data()])
commands = st.one_of(
    st.builds(appended, instances, values, st.sampled_from("xxxy")),
    instances.map(lambda i: pb.Message(type=pb.FR_INVOKE, invoke=pb.Invoke(session_id="run", instance_id=i, name="f"))),
    instances.map(
        lambda i: pb.Message(
            type=pb.FR_MARK_DAG_NODE_DONE, mark_dag_node_done=pb.MarkDagNodeDone(node_id=i, session_id="run")
        )
    ),
    st.just(pb.Message(type=pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id="arg"))),
)


@given(st.lists(commands, max_size=40))
def test_commands_have_the_same_effects_in_the_same_order_when_they_come_as_batches(sent):
    one_by_one, together = Client(), Client()
    singles = [each.SerializeToString() for each in sent]
    waiting, batches = deque((each,) for each in singles), []
    while waiting:
        batches.append(b"".join(next_message(waiting)))
    for client, stream in ((one_by_one, singles), (together, batches)):
        client.add()
        for received in (each for message in stream for each in messages.from_client(message)):
            client.application.handle(received)

    assert one_by_one.answers == together.answers
    assert one_by_one.called() == together.called()
    assert len(one_by_one.application.objects) == len(together.application.objects)


def test_a_value_is_there_for_as_long_as_anybody_owns_it():
    objects, value = ValueStore(), Value("id", pb.LANGUAGE_PYTHON, b"")
    objects.own(value)
    objects.own(value)
    objects.release("id")
    held = objects.get("id")
    objects.release("id")

    assert held is value
    assert objects.get("id") is None
    assert len(objects) == 0


def test_a_call_gets_its_arguments_and_its_result_is_held_until_it_is_done(client):
    client.append(encoded(b"1"))
    client.invoke()
    (_, function, args) = client.processes[0].calls[0]
    client.returns("result", b"42")
    answer = client.last().return_result
    found = client.request("result")
    client.done()
    gone = client.request("result")

    assert (function.name, args) == ("f", {"x": b"1"})
    answered = reference("result", store=answer.value.ref.source.id)
    assert answer == pb.ReturnResult(session_id="run", instance_id="1", name="f", value=answered)
    assert answer.value.ref.source.id
    assert (found.value.data, found.error) == (b"42", "")
    assert (gone.id, gone.error) == ("result", f"the object {GONE}")
    assert (len(client.application.objects), client.application.call_count) == (0, 0)


def test_a_result_is_an_argument_of_the_next_call(client):
    client.append(encoded())
    client.invoke()
    client.returns("first", b"42")
    client.append(reference("first"), instance="2")
    client.invoke(instance="2")

    assert client.processes[0].calls[0][2] == {"x": b"42"}


def test_a_call_that_took_a_result_runs_on_when_the_result_is_let_go(client):
    client.append(encoded())
    client.invoke()
    client.returns("first", b"42")
    client.append(reference("first"), instance="2")
    client.done("1")
    client.invoke(instance="2")

    assert client.processes[0].calls[0][2] == {"x": b"42"}


def test_an_argument_that_was_sent_can_be_referred_to_while_its_call_is_under_way(client):
    client.add("g", ("a", "b"))
    client.append(encoded(b"7", "seven"), "a", "g")
    client.append(reference("seven"), "b", "g")
    client.invoke("g")
    args = client.processes[0].calls[0][2]
    client.returns()

    assert args == {"a": b"7", "b": b"7"}
    assert client.request("seven").error == f"the object {GONE}"


def test_a_function_without_parameters_starts_when_it_is_invoked(client):
    client.add("g", ())
    client.invoke("g")

    assert len(client.processes[0].calls) == 1


@pytest.mark.parametrize(
    ("value", "options", "said"),
    [
        (encoded(), {"name": "ff"}, "the function 'ff' is not registered in this session; did you mean 'f'?"),
        (encoded(), {"param": "y"}, "'f' has no parameter 'y'; it takes 'x'"),
        (reference("?"), {}, f"the argument 'x' of 'f' {GONE}"),
        (pb.Data(), {}, "the argument 'x' of 'f' has no value; send one"),
        (encoded(stream=True), {}, "the argument 'x' of 'f' is a stream"),
        (encoded(language=pb.LANGUAGE_GO), {}, "the argument 'x' of 'f' is a stream or in a language that is not read"),
    ],
)
def test_an_argument_that_cannot_be_taken_fails_the_call_once_and_at_once(client, value, options, said):
    client.append(value, **options)
    at_once = client.errors()
    client.append(encoded(), **options)
    client.invoke(options.get("name", "f"))

    assert at_once[0].startswith(said)
    assert client.errors() == at_once
    assert (client.processes, client.application.call_count, len(client.application.objects)) == ([], 0, 0)


def test_a_call_without_all_its_arguments_fails_at_once(client):
    client.add("g", ("a", "b", "c"))
    client.append(encoded(), "b", "g")
    client.invoke("g")
    client.invoke("unknown")

    assert client.errors() == [
        "'g' was called without 'a', 'c'; send every argument before the call",
        "the function 'unknown' is not registered in this session; register it first, as a function in Python",
    ]
    assert len(client.application.objects) == 0


def test_after_a_call_that_failed_the_same_one_can_be_made_again(client):
    client.append(encoded(), "y")
    client.invoke()
    client.append(encoded())
    client.invoke()
    client.returns()

    assert client.last().return_result.value.ref.id == "result"


def test_a_function_in_another_language_is_refused_when_it_is_called(client):
    client.add("g", (), language=pb.LANGUAGE_GO)
    client.invoke("g")

    assert client.errors() == ["'g' returns values in a language that is not written here; register it for Python"]


def test_calls_under_way_finish_with_the_function_they_began_with(client):
    client.append(encoded())
    client.add(pickled_object=b"new")
    client.invoke()
    client.append(encoded(), instance="2")
    client.invoke(instance="2")

    assert [function.handler for _, function, _ in client.processes[0].calls] == [b"", b"new"]


def test_an_error_of_the_worker_is_the_error_of_the_call(client):
    client.append(encoded())
    client.invoke()
    client.processes[0].on_return(client.processes[0].calls[0][0], "ValueError: no")

    assert client.errors() == ["ValueError: no"]
    assert (client.application.call_count, len(client.application.objects)) == (0, 0)


def test_a_call_that_is_done_before_it_began_never_begins(client):
    for instance in "12":
        client.append(encoded(), instance=instance)
        client.invoke(instance=instance)
    client.done("2")
    client.returns()

    assert client.errors() == ["the call of 'f' was given up before it began", ""]
    assert client.processes[0].calls == []


def test_a_call_that_is_done_while_it_runs_leaves_nothing(client):
    client.append(encoded())
    client.invoke()
    client.done()
    client.returns()

    assert client.last().return_result.value.ref.id == "result"
    assert (client.application.call_count, len(client.application.objects)) == (0, 0)


def test_what_belongs_to_the_platforms_display_is_taken_without_a_word(client):
    client.send(pb.FR_DAG)
    client.send(pb.FR_READY)
    client.done("unknown")

    assert client.answers == []


def test_data_is_held_until_the_session_ends_and_goes_to_calls_as_a_result_does(client):
    for data in (b"old", b"1"):
        kept = pb.EncodedObject(id="data", data=data, language=pb.LANGUAGE_PYTHON)
        client.send(pb.FR_APPEND_DATA, append_data=pb.AppendData(session_id="run", object=kept))
    answer = client.last().return_result
    client.append(answer.value)
    client.invoke()
    client.done()

    assert (answer.session_id, answer.instance_id, answer.name, answer.value.ref.id) == ("run", "", "data", "data")
    assert client.processes[0].calls[0][2] == {"x": b"1"}
    assert client.request("data").value.data == b"1"
    assert len(client.application.objects) == 1


def test_data_that_cannot_be_read_is_refused(client):
    client.send(pb.FR_APPEND_DATA, append_data=pb.AppendData(object=pb.EncodedObject(id="data", stream=True)))

    assert client.last().return_result.error.startswith("the data 'data' is a stream or in a language that is not read")


@pytest.mark.parametrize("number", [pb.BK_RETURN_RESULT, pb.BK_RESPONSE_OBJECT])
def test_what_cannot_be_done_here_is_refused_by_name(client, number):
    with pytest.raises(UnsupportedError, match=pb.CommandType.Name(number)):
        client.send(number)


def test_calls_of_what_is_not_in_python_are_refused_and_the_session_goes_on(client):
    client.send(pb.FR_APPEND_GO, append_go=pb.AppendForeignFunc(name="g"))
    client.send(pb.FR_APPEND_UNIKERNEL, append_unikernel=pb.AppendForeignFunc(name="u"))
    client.invoke("g")
    client.append(encoded(), "add", "u")
    client.invoke("u")
    remedy = "and this controller runs functions in Python only; use ignis for it"

    assert client.errors() == [f"'g' is written in Go, {remedy}", f"'u' is a unikernel, {remedy}"]


def test_every_result_of_a_session_is_in_one_store_of_its_own(client):
    other = Client()
    other.add()
    sources = []
    for each in (client, client, other):
        each.append(encoded())
        each.invoke()
        each.returns()
        sources.append(each.last().return_result.value.ref.source.id)

    assert sources[0] == sources[1] != sources[2]


def test_a_result_is_found_by_the_name_of_its_call_until_that_is_done(client):
    client.append(encoded())
    client.invoke()
    client.returns("result", b"42")
    found = client.request("run-1-f")
    client.done()

    assert (found.id, found.value.data) == ("run-1-f", b"42")
    assert client.request("run-1-f").error == f"the object {GONE}"


def test_who_asks_for_what_is_not_there_gets_a_value_that_says_so_beside_the_error(client):
    answer = client.request("?")
    value = pickle.loads(answer.value.data)

    assert (type(value), str(value)) == (RuntimeError, answer.error)
    assert answer.value.language == pb.LANGUAGE_PYTHON


def test_who_takes_no_notice_of_an_error_finds_it_where_the_result_would_be(client):
    client.append(encoded())
    client.invoke()
    client.processes[0].on_return(client.processes[0].calls.pop()[0], "ValueError: no")
    client.append(pb.Data(), instance="2")

    assert client.request("run-1-f").error == "the call failed; ValueError: no"
    follows = "the argument 'x' of 'f' has no value, as an earlier call failed; ValueError: no"
    assert client.request("run-2-f").error == f"the call failed; {follows}"
    assert client.request("").error == f"the call failed; {follows}"


def test_failures_of_a_client_that_never_lets_go_are_remembered_up_to_a_number(client):
    for number in range(1000):
        client.append(encoded(), "y", instance=str(number))
        client.invoke(instance=str(number))

    assert "'f' has no parameter 'y'" in client.request("run-999-f").error
    assert client.request("run-0-f").error == f"the object {GONE}"


def test_when_the_session_is_over_nothing_is_kept_and_nobody_is_told(client):
    for instance in "123":
        client.append(encoded(), instance=instance)
        client.invoke(instance=instance)
    client.returns()
    before = len(client.answers)
    client.application.close()
    client.returns()

    assert (client.application.call_count, len(client.application.objects)) == (0, 0)
    assert len(client.answers) == before
    assert client.processes[0].calls == []
