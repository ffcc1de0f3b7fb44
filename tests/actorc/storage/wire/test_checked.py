"""Checksums of whole messages."""

from __future__ import annotations

import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import DamagedMessageError
from actorc.storage._wire import call_headers
from actorc.storage._wire.message_checksum import ANSWER, REQUEST, STATUS, Checks

METHOD = "/ignis.storage.v1.StorageService/HeadObject"
CALL = Checks(METHOD, "id", "1")
MESSAGE = pb.HeadObjectRequest(bucket="bucket", key="key").SerializeToString()


@pytest.mark.parametrize("message", [b"", MESSAGE, b"\xfd\x7f1234", bytes(1 << 20)])
@pytest.mark.parametrize("kind", [REQUEST, ANSWER, STATUS])
def test_what_was_sealed_is_opened(message, kind):
    assert CALL.open(CALL.seal(message, kind), kind) == message


def test_every_flipped_bit_is_noticed():
    sealed = CALL.seal(MESSAGE, REQUEST)
    for at in range(len(sealed) * 8):
        flipped = sealed[: at // 8] + bytes([sealed[at // 8] ^ 1 << at % 8]) + sealed[at // 8 + 1 :]
        with pytest.raises(DamagedMessageError):
            CALL.open(flipped, REQUEST)


@pytest.mark.parametrize("length", range(len(MESSAGE) + 6))
def test_what_is_cut_off_is_noticed(length):
    with pytest.raises(DamagedMessageError):
        CALL.open(CALL.seal(MESSAGE, REQUEST)[:length], REQUEST)


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (Checks(METHOD, "id", "1"), ANSWER),
        (Checks(METHOD.replace("Head", "Delete"), "id", "1"), REQUEST),
        (Checks(METHOD, "id", "2"), REQUEST),
        (Checks(METHOD, "di", "1"), REQUEST),
        (Checks(METHOD, "", "1"), REQUEST),
    ],
    ids=["direction", "method", "attempt", "call", "no call"],
)
def test_a_seal_is_good_for_one_message_of_one_call(other, kind):
    with pytest.raises(DamagedMessageError):
        other.open(CALL.seal(MESSAGE, REQUEST), kind)


def test_the_field_is_the_one_that_the_proto_describes():
    assert CALL.seal(MESSAGE, REQUEST)[len(MESSAGE) :].hex() == "fd7f3da4debb"


def test_a_parser_that_does_not_know_the_field_skips_it():
    parsed = pb.HeadObjectRequest.FromString(CALL.seal(MESSAGE, REQUEST))

    assert (parsed.bucket, parsed.key) == ("bucket", "key")


def test_no_message_has_a_field_of_the_number():
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        assert 2047 not in message.fields_by_number
    assert call_headers.SERVICE.methods
