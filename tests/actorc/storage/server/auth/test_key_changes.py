"""Changes of the file of keys: who is let in from then on, and what happens when several change it at once."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from actorc.storage._wire.call_signing import derived_key, sign_clock, sign_request, verify_request
from actorc.storage._wire.token_signing import EVERYTHING as WHOLE_SCOPE
from actorc.storage._wire.token_signing import sign_token
from actorc.storage._wire.url_signing import check_grant, read_url, sign_url
from actorc.storage.errors import (
    ClockSkewError,
    InvalidParameterError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnauthenticatedError,
)
from actorc.storage.server.auth import authentication
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.authentication import Authenticator
from actorc.storage.server.auth.key_file import (
    LONGEST_GRACE,
    add_key,
    disable_key,
    enable_key,
    read_keys,
    remove_key,
    rotate_key,
)
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.auth.presigning import PresignedUrls
from actorc.storage.server.auth.tokens import Tokens

METHOD = "/package.Service/Method"
HOUR = 3600


class Doors:
    """What lets callers in, at a time that the test sets."""

    def __init__(self, file):
        self.now = datetime.now(UTC).timestamp()
        self.keyring = Keyring(file, clock=lambda: self.now)
        self.authenticator = Authenticator(self.keyring, lambda: self.now)
        self.tokens = Tokens(self.keyring, lambda: self.now)
        self.urls = PresignedUrls(self.keyring, lambda: self.now)
        self.urls.endpoint = "http://127.0.0.1:9001"

    def headers(self, key_id, secret, age=0.0):
        date_ms = int((self.now - age) * 1000)
        return dict(sign_request(derived_key(secret), key_id, METHOD, b"body", date_ms))

    def call(self, key_id, secret):
        """Return who makes a call, in the two steps in which calls are proved."""
        proof = self.authenticator.check_headers(self.headers(key_id, secret), METHOD, "id")
        return self.authenticator.principal(proof, METHOD, b"body")

    def token(self, key_id, secret):
        return self.tokens.admit(sign_token(derived_key(secret), key_id, WHOLE_SCOPE, int(self.now) + 60))

    def url(self, key_id, secret):
        grant = check_grant("GET", "bucket", "key", expires=60, now=self.now)
        made = sign_url(self.urls.endpoint, derived_key(secret), key_id, grant)
        return self.urls.admit(read_url(made.removeprefix(self.urls.endpoint)), "GET")

    def who(self, key_id, secret):
        """Return by which ways a secret lets its holder in."""
        found = []
        for name, way in (("call", self.call), ("token", self.token), ("url", self.url)):
            try:
                assert way(key_id, secret).access_key == key_id
                found.append(name)
            except UnauthenticatedError:
                pass
        return found


EVERY_WAY = ["call", "token", "url"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def key(file):
    return add_key(file, [EVERYTHING], comment="first")


@pytest.fixture
def doors(file, key):
    return Doors(file)


def test_both_secrets_are_good_until_the_grace_is_over_and_then_the_new_one_alone(file, key, doors):
    known, old = key
    rotated, new = rotate_key(file, known.id, grace=HOUR)

    assert (doors.who(known.id, old), doors.who(known.id, new)) == (EVERY_WAY, EVERY_WAY)
    assert rotated.former_until(doors.now) == rotated.changed_at + timedelta(hours=1)
    doors.now += HOUR + 1
    assert (doors.who(known.id, old), doors.who(known.id, new)) == ([], EVERY_WAY)
    assert rotated.former_until(doors.now) is None


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_a_refusal_compares_as_many_signatures_for_a_known_key_as_for_an_unknown_one(
    file, key, doors, monkeypatch, rotations
):
    counted = []

    def counting(*arguments):
        counted.append(arguments)
        return verify_request(*arguments)

    monkeypatch.setattr(authentication, "verify_request", counting)
    for _ in range(rotations):
        rotate_key(file, key[0].id, grace=HOUR)
    counts = []
    for name in (key[0].id, "AKNOBODY"):
        counted.clear()
        with pytest.raises(UnauthenticatedError):
            doors.call(name, "wrong")
        counts.append(len(counted))

    assert counts[0] == counts[1]


def test_without_grace_a_secret_ends_at_once(file, key, doors):
    known, old = key
    assert doors.who(known.id, old) == EVERY_WAY
    _, new = rotate_key(file, known.id, grace=0)

    assert (doors.who(known.id, old), doors.who(known.id, new)) == ([], EVERY_WAY)


def test_a_call_whose_secret_is_replaced_between_headers_and_message_is_refused(file, key, doors):
    known, old = key
    proof = doors.authenticator.check_headers(doors.headers(known.id, old), METHOD, "id")
    rotate_key(file, known.id, grace=0)
    # the event loop's headers are verified with the keys as last read
    late = doors.authenticator.check_headers(doors.headers(known.id, old), METHOD, "id")

    for each in (proof, late):
        with pytest.raises(UnauthenticatedError, match="its secret was replaced"):
            doors.authenticator.principal(each, METHOD, b"body")


def test_the_servers_time_is_signed_with_the_secret_that_the_caller_has(file, key, doors):
    known, old = key
    _, new = rotate_key(file, known.id, grace=HOUR)
    for secret in (old, new):
        headers = doors.headers(known.id, secret, age=HOUR)
        with pytest.raises(ClockSkewError) as caught:
            doors.authenticator.check_headers(headers, METHOD, "id")
        date_ms = int(headers["x-acs-date"])
        expected = sign_clock(derived_key(secret), METHOD, "id", date_ms, caught.value.server_time_us)
        assert caught.value.server_time_signature == expected

    rotate_key(file, known.id, grace=0)
    with pytest.raises(ClockSkewError) as caught:
        doors.authenticator.check_headers(doors.headers(known.id, new, age=HOUR), METHOD, "id")
    assert caught.value.server_time_signature == ""


def test_a_url_that_the_server_makes_ends_with_the_secret_of_its_caller(file, key, doors):
    known, old = key
    _, new = rotate_key(file, known.id, grace=HOUR)
    by_old, by_new = (
        doors.urls.issue(doors.call(known.id, secret), "GET", "bucket", "key", expires=2 * HOUR)
        for secret in (old, new)
    )
    doors.now += HOUR + 1

    assert doors.urls.admit(read_url(by_new.removeprefix(doors.urls.endpoint)), "GET").access_key == known.id
    with pytest.raises(UnauthenticatedError):
        doors.urls.admit(read_url(by_old.removeprefix(doors.urls.endpoint)), "GET")


def test_a_secret_that_was_lost_is_replaced_by_another_one_and_the_first_goes_on(file, key, doors):
    known, first = key
    _, lost = rotate_key(file, known.id, grace=HOUR)
    _, third = rotate_key(file, known.id, grace=HOUR)

    assert [doors.who(known.id, each) for each in (first, lost, third)] == [EVERY_WAY] * 3
    (end,) = {each.until for each in read_keys(file)[known.id].former[1:]}
    # when one of them ends by itself, and not when it would after the change that is refused
    with pytest.raises(PreconditionFailedError, match=f"{end:%H:%M:%S} UTC; .* --for 0s"):
        rotate_key(file, known.id, grace=60)
    _, fourth = rotate_key(file, known.id, grace=0)
    assert [doors.who(known.id, each) for each in (first, lost, third, fourth)] == [[], [], [], EVERY_WAY]


def test_no_secret_outlives_the_shortest_grace(file, key, doors):
    known, first = key
    rotate_key(file, known.id, grace=30 * 24 * HOUR)
    rotate_key(file, known.id, grace=60)
    doors.now += 61

    assert doors.who(known.id, first) == []


@pytest.mark.parametrize("grace", [-1, LONGEST_GRACE + 1, float("nan")])
def test_a_grace_that_is_no_time_is_refused(file, key, grace):
    with pytest.raises(InvalidParameterError, match="30 days"):
        rotate_key(file, key[0].id, grace=grace)


def test_a_disabled_key_lets_nobody_in_until_it_is_enabled(file, key, doors):
    known, secret = key
    disable_key(file, known.id)
    assert doors.who(known.id, secret) == []
    enabled = enable_key(file, known.id)

    assert doors.who(known.id, secret) == EVERY_WAY
    assert enabled.changed_at is not None
    assert enable_key(file, known.id) == enabled


def test_another_secret_for_a_disabled_key_ends_the_old_one_for_good(file, key, doors):
    known, old = key
    disable_key(file, known.id)
    rotated, new = rotate_key(file, known.id, grace=HOUR)

    assert rotated.disabled
    assert doors.who(known.id, new) == []
    enable_key(file, known.id)
    assert (doors.who(known.id, old), doors.who(known.id, new)) == ([], EVERY_WAY)


def test_only_a_disabled_key_is_removed(file, key):
    known, _ = key
    with pytest.raises(PreconditionFailedError, match="disable it"):
        remove_key(file, known.id)
    disable_key(file, known.id)

    assert remove_key(file, known.id).id == known.id
    assert read_keys(file) == {}
    for change in (disable_key, enable_key, remove_key):
        with pytest.raises(NotFoundError):
            change(file, known.id)


def test_changes_made_at_the_same_time_are_all_kept(file):
    keys = [add_key(file, [EVERYTHING])[0] for _ in range(12)]

    def change(number):
        (
            disable_key(file, keys[number].id),
            add_key(file, [EVERYTHING]),
            rotate_key(file, keys[-1 - number].id, grace=0),
        )

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(change, range(6)))
    found = read_keys(file)

    assert len(found) == 18
    assert [found[each.id].disabled for each in keys] == [True] * 6 + [False] * 6
    assert all(found[each.id].key != each.key for each in keys[6:])


def test_a_secret_replaced_and_a_key_disabled_at_the_same_time_leave_it_disabled(file):
    for _ in range(5):
        known, _ = add_key(file, [EVERYTHING])
        with ThreadPoolExecutor(2) as threads:
            list(
                threads.map(
                    lambda change, key_id=known.id: change(key_id),
                    [lambda key_id: disable_key(file, key_id), lambda key_id: rotate_key(file, key_id, grace=HOUR)],
                )
            )
        assert read_keys(file)[known.id].disabled


def test_each_change_makes_the_file_younger_also_within_a_tick_of_the_clock(file, key):
    ahead = file.stat().st_mtime_ns + HOUR * 10**9
    os.utime(file, ns=(ahead, ahead))
    rotate_key(file, key[0].id, grace=0)
    second = file.stat().st_mtime_ns
    rotate_key(file, key[0].id, grace=0)

    assert ahead < second < file.stat().st_mtime_ns


def test_what_is_the_same_already_is_not_written_again(file, key):
    disable_key(file, key[0].id)
    before = file.stat()
    disable_key(file, key[0].id)

    assert file.stat() == before


def test_a_refused_change_leaves_the_file_as_it_was(file, key):
    before = file.read_bytes()

    def refuse():
        raise UnauthenticatedError("not any more")

    for change in (
        lambda: add_key(file, [EVERYTHING], check=refuse),
        lambda: disable_key(file, key[0].id, check=refuse),
        lambda: rotate_key(file, key[0].id, grace=0, check=refuse),
    ):
        with pytest.raises(UnauthenticatedError):
            change()
    assert file.read_bytes() == before


def test_a_file_of_an_earlier_version_is_read_and_changed(file, doors, key):
    content = json.loads(file.read_text())
    assert set(content["keys"][0]) == {"id", "key", "created_at", "disabled", "comment", "allow"}
    content["keys"][0]["created_at"] = "2024-01-01T00:00:00"
    file.write_text(json.dumps(content))

    rotate_key(file, key[0].id, grace=HOUR)
    (found,) = read_keys(file).values()
    assert found.created_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert doors.who(key[0].id, key[1]) == EVERY_WAY


@pytest.mark.parametrize(
    "former",
    ["x", [{}], [{"key": "00"}], [{"key": "zz", "until": "2024-01-01"}], [{"key": "00", "until": 3}], [1], 1],
)
def test_former_secrets_that_are_none_are_damage_and_change_nothing(file, key, doors, former):
    content = json.loads(file.read_text())
    content["keys"][0]["former"] = former
    file.write_text(json.dumps(content))

    with pytest.raises(StorageError, match="damaged"):
        read_keys(file)
    assert doors.who(key[0].id, key[1]) == EVERY_WAY


def test_the_log_tells_which_keys_changed_in_lines_of_its_own(file, key, doors, caplog):
    caplog.set_level("INFO")
    content = json.loads(file.read_text())
    content["keys"].append({**content["keys"][0], "id": "AK\nERROR forged"})
    file.write_text(json.dumps(content))
    assert doors.keyring.find("AK\nERROR forged")
    rotate_key(file, key[0].id, grace=0)
    disable_key(file, "AK\nERROR forged")
    assert doors.keyring.find(key[0].id)

    told = [each.getMessage() for each in caplog.records]
    assert told[0].endswith(r": 'AK\nERROR forged' added")
    assert told[1].endswith(rf": '{key[0].id}' rotated, 'AK\nERROR forged' disabled")
    assert not any("\n" in each for each in told)


def test_a_process_that_begins_while_the_file_is_gone_lets_nobody_in(file, key):
    file.unlink()

    assert Keyring(file).is_open
    assert not Keyring(file, was_closed=True).is_open


def test_a_caller_with_less_than_everything_keeps_its_proof_when_it_is_narrowed(file, doors):
    known, secret = add_key(file, [Statement.parse("read,write:b")])
    principal = doors.call(known.id, secret).narrowed(frozenset({"read"}))

    assert doors.keyring.still_holds(principal)
    disable_key(file, known.id)
    assert not doors.keyring.still_holds(principal)
