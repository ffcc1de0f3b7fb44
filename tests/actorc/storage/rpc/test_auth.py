"""What both sides compute of a request, and what the client does about its clock."""

from __future__ import annotations

import hashlib
import hmac
import logging

import pytest

from actorc.storage._rpc.signer import Signer
from actorc.storage._wire import call_signing
from actorc.storage.errors import ClockSkewError, UnauthenticatedError

METHOD = "/ignis.storage.v1.StorageService/PutObject"
NOW = 1_767_225_600_000
SECRET = "planted-secret"
KEY = call_signing.derived_key(SECRET)


def claim(**changes):
    metadata = dict(call_signing.sign_request(KEY, "AKNAME", METHOD, b"body", NOW))
    return call_signing.read_claim(metadata | changes)


def test_a_signature_is_what_the_documented_recipe_gives():
    text = f"acs1-call\n{METHOD}\n{NOW}\n{hashlib.sha256(b'body').hexdigest()}"
    key = hmac.new(b"planted-secret", b"actorc-storage-v1", "sha256").digest()
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()

    assert dict(call_signing.sign_request(KEY, "AKNAME", METHOD, b"body", NOW)) == {
        "x-acs-key": "AKNAME",
        "x-acs-date": str(NOW),
        "x-acs-sig": expected,
        "x-acs-hash": hashlib.sha256(b"body").hexdigest(),
    }


def test_a_signature_never_changes_from_version_to_version():
    expected = "9916b29996435dd55db345f786c8442916943409bbe525ae6021451a49a15be1"

    assert expected == claim().signature


def test_what_was_signed_is_verified():
    assert call_signing.verify_request(KEY, claim(), METHOD, call_signing.body_hash(b"body"))
    assert call_signing.verify_request(KEY, claim(), METHOD, claim().body_hash)


@pytest.mark.parametrize(
    ("key", "changes", "method", "body"),
    [
        (call_signing.derived_key("another"), {}, METHOD, b"body"),
        (KEY, {"x-acs-date": str(NOW + 1)}, METHOD, b"body"),
        (KEY, {"x-acs-sig": "0" * 64}, METHOD, b"body"),
        (KEY, {"x-acs-sig": ""}, METHOD, b"body"),
        (KEY, {"x-acs-sig": "é"}, METHOD, b"body"),
        (KEY, {}, METHOD.replace("Put", "Delete"), b"body"),
        (KEY, {}, METHOD, b"other body"),
        (KEY, {}, METHOD, b""),
    ],
)
def test_a_signature_is_for_one_key_time_method_and_body(key, changes, method, body):
    assert not call_signing.verify_request(key, claim(**changes), method, call_signing.body_hash(body))


@pytest.mark.parametrize("digest", ["", "x", "a\nb", "0" * 64, call_signing.body_hash(b"body").upper()])
def test_a_signature_is_for_one_hash_as_it_is_documented(digest):
    assert not call_signing.verify_request(KEY, claim(), METHOD, digest)


def test_a_call_need_not_carry_the_hash_of_its_message():
    metadata = dict(call_signing.sign_request(KEY, "AKNAME", METHOD, b"body", NOW))
    del metadata["x-acs-hash"]

    assert call_signing.read_claim(metadata).body_hash == ""


def test_a_signature_for_one_purpose_proves_nothing_for_another():
    assert call_signing.signature(KEY, "acs1-call", "a", "b") != call_signing.signature(KEY, "acs1-url", "a", "b")


def test_lines_cannot_be_moved_into_each_other():
    with pytest.raises(ValueError, match="line break"):
        call_signing.signature(KEY, "acs1-url", "a\nb")


@pytest.mark.parametrize("missing", ["x-acs-key", "x-acs-date", "x-acs-sig"])
def test_a_call_that_lacks_a_part_is_not_signed(missing):
    metadata = dict(call_signing.sign_request(KEY, "AKNAME", METHOD, b"body", NOW))
    del metadata[missing]

    assert call_signing.read_claim(metadata) is None


@pytest.mark.parametrize(("distance", "expected"), [(0, True), (300_000, True), (300_001, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_clocks_may_be_five_minutes_apart(distance, expected, sign):
    assert expected is call_signing.is_timely(claim(), NOW + sign * distance)


@pytest.mark.parametrize("date", ["", "x", "-1", "1.5", "٣", "9" * 5000])
def test_what_is_no_time_is_never_timely(date):
    assert not call_signing.is_timely(claim(**{"x-acs-date": date}), NOW)


DAY = 24 * 60 * 60 * 1000
REQUEST = "request-1"


def skewed(server_time_ms, *, key=KEY, method=METHOD, request_id=REQUEST, date_ms=NOW, signed_us=None):
    """Return the refusal of a server that has `key` and answers a call like this."""
    error = ClockSkewError("too far")
    error.server_time_us = server_time_ms * 1000
    error.server_time_signature = call_signing.sign_clock(
        key, method, request_id, date_ms, signed_us or error.server_time_us
    )
    return error


@pytest.fixture
def signer():
    return Signer("AKNAME", SECRET, clock=lambda: NOW / 1000)


def signed_at(signer):
    metadata, date_ms = signer.sign(METHOD, b"body")
    assert str(date_ms) == dict(metadata)["x-acs-date"]
    return date_ms


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000, DAY, -DAY])
def test_a_signer_takes_over_the_clock_of_the_server_and_warns_once(signer, caplog, ahead_ms):
    with caplog.at_level(logging.WARNING):
        corrected = [signer.correct(skewed(NOW + ahead_ms), METHOD, REQUEST, NOW) for _ in range(2)]

    assert corrected == [True, True]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"this machine's clock is {ahead_ms / -1000:g} s off that of the storage server, whose time")
    assert signed_at(signer) == NOW + ahead_ms


@pytest.mark.parametrize(
    "forged",
    [
        {"key": call_signing.derived_key("another")},
        {"method": METHOD.replace("Put", "Delete")},
        {"request_id": "request-2"},
        {"date_ms": NOW - 1},
        {"signed_us": 1},
    ],
)
def test_a_clock_is_believed_only_if_the_key_says_so_for_this_very_call(signer, forged):
    error = skewed(NOW + 3_600_000, **forged)

    assert not signer.correct(error, METHOD, REQUEST, NOW)
    assert signed_at(signer) == NOW
    assert "this machine's clock is 3600 s behind what the server says; that was not believed" in error.message


@pytest.mark.parametrize("signature", ["", "0" * 64, "é"])
def test_a_clock_without_a_signature_is_not_believed(signer, signature):
    error = skewed(NOW - 3_600_000)
    error.server_time_signature = signature

    assert not signer.correct(error, METHOD, REQUEST, NOW)
    assert signed_at(signer) == NOW
    assert "3600 s ahead of what the server says" in error.message


@pytest.mark.parametrize("ahead_ms", [DAY + 3_600_000, -DAY - 3_600_000])
def test_a_clock_is_corrected_by_a_day_at_most(signer, ahead_ms):
    error = skewed(NOW + ahead_ms)

    assert not signer.correct(error, METHOD, REQUEST, NOW)
    assert signed_at(signer) == NOW
    assert "more than a day is not corrected" in error.message


@pytest.mark.parametrize("error", [UnauthenticatedError("wrong"), ClockSkewError("too far"), OSError()])
def test_other_refusals_correct_nothing(signer, error):
    assert not signer.correct(error, METHOD, REQUEST, NOW)
    assert signed_at(signer) == NOW


def test_a_signer_does_not_keep_the_secret():
    signer = Signer("AKNAME", SECRET)

    assert SECRET not in repr(signer) + repr(vars(signer))
