"""Reflection: a client without the .proto file finds the services and calls them."""

from __future__ import annotations

import threading

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage.server.grpc.reflection_messages import Request, Response

STORAGE = "ignis.storage.v1.StorageService"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1.ServerReflection"


@pytest.fixture
def info(raw):
    def asked(requests, version="v1"):
        method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        stub = raw.channel.stream_stream(method, Request.SerializeToString, Response.FromString)
        return stub(requests, timeout=20)

    return asked


@pytest.fixture
def ask(info):
    """Ask once and return the answer."""
    return lambda version="v1", **question: next(info(iter([Request(**question)]), version))


@pytest.fixture
def pool(ask):
    """A pool filled as a generic client does: with the files of the symbols that it needs, and no others."""

    def filled(symbol):
        found = DescriptorPool()
        files = ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
        for each in reversed(files):
            found.Add(FileDescriptorProto.FromString(each))
        return found

    return filled


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_the_services_are_listed_under_both_names_of_reflection(ask, version):
    listed = ask(version, list_services="*").list_services_response.service

    assert [each.name for each in listed] == [STORAGE, HEALTH, REFLECTION]


def test_a_client_without_the_proto_file_calls_a_method(raw, pool):
    method = pool(STORAGE).FindServiceByName(STORAGE).methods_by_name["CreateBucket"]
    request, answer = map(GetMessageClass, (method.input_type, method.output_type))
    call = raw.channel.unary_unary(f"/{STORAGE}/CreateBucket", request.SerializeToString, answer.FromString)

    assert call(request(bucket="made"), timeout=20).bucket.name == "made"


def test_health_is_described_in_the_wire_form_that_it_has(raw, pool):
    method = pool(HEALTH).FindServiceByName(HEALTH).methods_by_name["Check"]
    request, answer = map(GetMessageClass, (method.input_type, method.output_type))
    call = raw.channel.unary_unary(f"/{HEALTH}/Check", request.SerializeToString, answer.FromString)
    status = call(request(service=STORAGE), timeout=20).status

    assert answer.ServingStatus.Name(status) == "SERVING"


@pytest.mark.parametrize("symbol", [STORAGE, f"{STORAGE}.PutObject", "ignis.storage.v1.PutObjectRequest"])
def test_a_symbol_leads_to_its_file_and_what_that_imports(ask, symbol):
    files = ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
    found = [FileDescriptorProto.FromString(each) for each in files]

    assert found[0].name == pb.DESCRIPTOR.name
    assert {name for each in found for name in each.dependency} <= {each.name for each in found}


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": "no.Such"},
        {"file_containing_symbol": ""},
        # loaded by the process, and none of the caller's business
        {"file_by_filename": "google/protobuf/descriptor.proto"},
        {"all_extension_numbers_of_type": "no.Such"},
        {"file_containing_extension": {"containing_type": STORAGE, "extension_number": 1}},
        {},
    ],
)
def test_what_is_not_there_is_answered_as_an_error_and_the_call_goes_on(info, question):
    answers = list(info(iter([Request(**question), Request(list_services="*")])))

    assert answers[0].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answers[0].original_request == Request(**question)
    assert answers[1].list_services_response.service


def test_a_request_that_is_too_large_is_refused(info):
    with pytest.raises(grpc.RpcError) as caught:
        next(info(iter([Request(file_containing_symbol="x" * 5000)])))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_callers_who_occupy_its_threads_are_told_to_others_and_hold_up_no_call(info, raw):
    done = threading.Event()

    def held():
        yield Request(list_services="*")
        done.wait(20)

    calls = [info(held()) for _ in range(2)]
    for call in calls:
        next(call)
    with pytest.raises(grpc.RpcError) as caught:
        next(info(iter([Request(list_services="*")])))
    created = raw("CreateBucket", pb.CreateBucketRequest(bucket="free"))
    done.set()

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert created.bucket.name == "free"
