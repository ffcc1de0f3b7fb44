"""Messages with large values, read and written without generated code in the way."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.framing import FrameReader, header
from actorc.controller.local.messages import Value
from actorc.controller.protocol import protobuf_fields

LARGE = bytes(range(256)) * 1024
texts = st.text(max_size=300)


def joined(parts):
    return b"".join(parts)


@given(texts, texts, texts, st.binary(max_size=300))
def test_an_answer_with_a_value_is_what_generated_code_reads(object_id, call_id, name, data):
    value = Value(object_id, pb.LANGUAGE_PYTHON, data)
    encoded = pb.EncodedObject(id=object_id, language=pb.LANGUAGE_PYTHON, data=data)
    found = pb.Message.FromString(joined(messages.found(value.id, value)))
    returned = pb.WorkerMessage.FromString(joined(messages.result(name, call_id, value)))
    called = pb.WorkerMessage.FromString(joined(messages.execute(name, call_id, "f", {"a": value, name: value})))

    assert found.response_object == pb.ResponseObject(id=object_id, value=encoded)
    assert returned.returned == pb.Return(corr_id=call_id, value=encoded)
    assert called.execute == pb.Execute(corr_id=call_id, name="f", args={"a": encoded, name: encoded})


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
def test_arguments_are_read_whatever_their_size(data):
    values = {"a": Value("1", pb.LANGUAGE_PYTHON, data), "b": Value("2", pb.LANGUAGE_JSON, LARGE)}
    received = messages.from_controller(joined(messages.execute("venv", "7", "f", values)))
    read = {name: received.value(arg) for name, arg in received.message.execute.args.items()}

    assert received.message.execute.corr_id == "7"
    assert {name: (each.id, each.language, bytes(each.data)) for name, each in read.items()} == {
        "a": ("1", pb.LANGUAGE_PYTHON, data),
        "b": ("2", pb.LANGUAGE_JSON, LARGE),
    }


def test_a_large_value_stays_where_it_was_received():
    encoded = pb.EncodedObject(id="1", data=LARGE, language=pb.LANGUAGE_PYTHON)
    argument = pb.AppendArg(name="f", param="p", value=pb.Data(type=pb.Data.OBJECT_ENCODED, encoded=encoded))
    whole = pb.Message(type=pb.FR_APPEND_ARG, append_arg=argument).SerializeToString()
    (received,) = messages.from_client(whole)
    value = received.value(received.message.append_arg.value.encoded)
    again = messages.execute("venv", "7", "f", {"p": value})

    assert value.data == LARGE
    assert value.data.obj is whole
    assert value.data in again


def test_a_large_message_of_another_kind_is_read_whole():
    function = pb.AppendPyFunc(name="f", pickled_object=LARGE)
    whole = pb.Message(type=pb.FR_APPEND_PY_FUNC, append_py_func=function)
    (received,) = messages.from_client(whole.SerializeToString())

    assert received.message == whole


@given(st.binary(max_size=40), st.integers(0, 40))
def test_a_damaged_message_is_an_error_and_nothing_else(noise, cut):
    whole = pb.Message(type=pb.FR_APPEND_ARG, append_arg=pb.AppendArg(name="f")).SerializeToString()
    with suppress(ValueError):
        protobuf_fields.cut(whole[:cut] + noise, 9, 5, 3, 2)


@given(
    st.tuples(st.lists(st.integers(0, 700_000), max_size=6), st.integers(20_000, 400_000))
    | st.tuples(st.lists(st.integers(0, 20), max_size=6), st.integers(1, 30))
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(sizes_and_step):
    sizes, step = sizes_and_step
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]
    stream = b"".join(header(len(frame)) + frame for frame in frames)
    reader, received = FrameReader(), []
    at = 0
    while at < len(stream):
        room = reader.buffer()
        count = min(step, len(room), len(stream) - at)
        room[:count] = stream[at : at + count]
        received += reader.filled(count)
        at += count

    assert [bytes(each) for each in received] == frames
