from __future__ import annotations

import builtins
import copy
import errno as codes
import pickle

import grpc
import pytest

import actorc.storage
from actorc.storage import errors
from actorc.storage._wire import error_status, messages
from actorc.storage.errors import NotFoundError, ResourceExhaustedError, StorageError


def subclasses(cls: type) -> list[type]:
    return [cls, *(deeper for child in cls.__subclasses__() for deeper in subclasses(child))]


PUBLIC = [
    cls for cls in subclasses(StorageError) if cls.__module__ == errors.__name__ and not cls.__name__.startswith("_")
]


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_error_of_the_tree_is_exported(cls):
    assert getattr(actorc.storage, cls.__name__) is cls


@pytest.mark.parametrize("cls", PUBLIC)
def test_an_error_survives_pickling_whole(cls):
    error = cls("gone", bucket="bucket", key="key", request_id="r1", retryable=True, retry_after=2.5)

    copied = pickle.loads(pickle.dumps(error))

    assert type(copied) is cls
    assert (copied.__dict__, copied.args, str(copied)) == (error.__dict__, error.args, str(error))


@pytest.mark.parametrize("cls", PUBLIC)
def test_an_error_crosses_the_wire_as_the_same_class_with_the_same_fields(cls):
    error = cls("gone, look elsewhere", bucket="bucket", key="kéy", request_id="r1", retry_after=2.5)

    copied = error_status.error_from_status(error_status.status_message(error))

    assert type(copied) is cls
    assert copied.__dict__ == error.__dict__


def test_a_reason_of_a_later_version_is_understood_as_its_status():
    message = error_status.status_message(NotFoundError("gone", "bucket"))
    message.details[0].value = messages.pb.ErrorInfo(reason="SHELF_NOT_FOUND").SerializeToString()

    assert type(error_status.error_from_status(message)) is NotFoundError


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_grpc_status_has_a_class(code):
    assert issubclass(errors.error_class("", code.name), StorageError)


def test_the_positional_constructors_of_the_platform_work():
    base = StorageError("text", "Custom", "bucket", "key")
    named = NotFoundError("text", "bucket", "key")

    assert (base.message, base.code, base.bucket, base.key) == ("text", "Custom", "bucket", "key")
    assert (named.message, named.code, named.bucket, named.key) == ("text", "NotFound", "bucket", "key")


def test_the_codes_of_the_specification_are_kept():
    codes = {cls.__name__: cls("x").code for cls in PUBLIC}

    assert codes["NotFoundError"] == "NotFound"
    assert codes["PermissionError"] == "PermissionDenied"
    assert codes["NetworkError"] == "NetworkError"
    assert codes["InvalidParameterError"] == "InvalidParameter"


AS_BUILTIN = [
    (errors.NotFoundError, FileNotFoundError, codes.ENOENT),
    (errors.AlreadyExistsError, FileExistsError, codes.EEXIST),
    (errors.PermissionError, builtins.PermissionError, codes.EACCES),
]


@pytest.mark.parametrize(("cls", "builtin", "code"), AS_BUILTIN)
def test_an_error_with_a_builtin_counterpart_is_caught_by_its_name_too(cls, builtin, code):
    with pytest.raises(builtin, match="no entry") as caught:
        raise cls("no entry", "bucket", "key")

    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (code, "no entry", "bucket/key")


@pytest.mark.parametrize(("cls", "builtin", "code"), AS_BUILTIN)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_its_fields_as_an_os_error_follow_names_that_are_filled_in_later(cls, builtin, code, again):
    error = cls("no entry")
    assert error.filename is None
    error.bucket = "bucket"

    assert isinstance(again(error), builtin)
    assert (again(error).errno, again(error).filename) == (code, "bucket")
    assert str(again(error)).endswith("] no entry (bucket=bucket)")


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_error_that_is_an_os_error_has_a_number(cls):
    assert not issubclass(cls, OSError) or cls("x").errno in codes.errorcode


def test_the_text_names_code_place_and_request():
    error = ResourceExhaustedError("the disk is full", "bucket", "key", request_id="abc")

    assert str(error) == "[ResourceExhausted] the disk is full (bucket=bucket, key=key) [request abc]"
