"""Access keys through the API: for those who may do everything anyway, and have proved it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from actorc.storage._auth import derived_key, sign_request
from actorc.storage._wire.token_signing import EVERYTHING, READING, sign_token
from actorc.storage.files import file_locks
from actorc.storage.server.auth.key_file import disable_key, read_keys
from actorc.storage.testing import local_server

from .conftest import ROOT, Key

JSON = {"Content_Type": "application/json"}
EVERYTHING_ALLOWED = "read,list,write,delete,presign,admin:*"


@pytest.fixture
def keyed(tmp_path):
    """A server of its own, and a key that allows everything."""
    key = Key(tmp_path / "keys.json", EVERYTHING_ALLOWED)
    with local_server(http=True, keys=tmp_path / "keys.json") as server:
        yield server, key


@pytest.fixture
def post(ask):
    """Send a body to the API; return the status and the JSON of the answer."""

    def sent(server, target, body, token, **headers):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**JSON, "Authorization": f"Bearer {token}", **headers}
        answer = ask(f"{server.http_endpoint}{ROOT}{target}", "POST", text, **headers)
        return answer.status, json.loads(answer.body)

    return sent


def test_a_key_is_made_listed_and_disabled(keyed, get, post):
    server, admin = keyed
    status, made = post(server, "/keys", {"allow": ["read:team-*/a/"], "comment": "Zoë"}, admin.token())
    token = sign_token(derived_key(made["secret_key"]), made["key"]["id"], EVERYTHING, int(time.time()) + 60)

    assert status == 201
    assert get(server, "/caller", token=token)[1]["statements"] == ["read:team-*/a/"]
    listed = get(server, "/keys", token=admin.token())[1]["keys"]
    assert [(each["id"], each["comment"]) for each in listed] == [(admin.id, ""), (made["key"]["id"], "Zoë")]
    assert "secret_key" not in json.dumps(listed)
    assert admin.key.key.hex() not in json.dumps(listed)

    status, disabled = post(server, f"/keys/{made['key']['id']}/disable", {}, admin.token())
    assert (status, disabled["disabled"]) == (200, True)
    assert get(server, "/caller", token=token)[0] == 401


@pytest.mark.parametrize(
    "allowed",
    [
        ["read,list,write,delete,presign:*"],
        ["read,list,write,delete,presign,admin:team-*"],
        ["read,list,write,delete,presign:*/a", "admin:*"],
        ["admin:*"],
    ],
)
def test_who_may_not_do_everything_has_nothing_to_do_with_keys(keyed, get, post, allowed):
    server, admin = keyed
    other = Key(admin.file, *allowed).token()

    assert get(server, "/keys", token=other)[0] == 403
    assert post(server, "/keys", {"allow": [EVERYTHING_ALLOWED]}, other)[0] == 403
    assert post(server, f"/keys/{admin.id}/disable", {}, other)[0] == 403


def test_a_token_for_reading_makes_no_key(keyed, get, post):
    server, admin = keyed

    assert get(server, "/keys", token=admin.token(READING))[0] == 403
    assert post(server, "/keys", {"allow": ["read:*"]}, admin.token(READING))[0] == 403


def test_without_keys_nobody_can_shut_out_the_owner(open_server, get, ask):
    answer = ask(f"{open_server.http_endpoint}{ROOT}/keys", "POST", b'{"allow": ["read:*"]}', **JSON)

    assert answer.status == 403
    assert "keys add" in json.loads(answer.body)["message"]
    assert get(open_server, "/keys")[0] == 403


def test_a_key_does_not_disable_itself(keyed, get, post):
    server, admin = keyed

    assert post(server, f"/keys/{admin.id}/disable", {}, admin.token())[0] == 400
    assert post(server, "/keys/AKNOBODY/disable", {}, admin.token())[0] == 404
    assert get(server, "/caller", token=admin.token())[0] == 200


def test_a_disabled_key_is_enabled_again(keyed, get, post):
    server, admin = keyed
    other = Key(admin.file, "read:*")
    post(server, f"/keys/{other.id}/disable", {}, admin.token())
    assert get(server, "/caller", token=other.token())[0] == 401

    status, enabled = post(server, f"/keys/{other.id}/enable", {}, admin.token())
    assert (status, enabled["disabled"]) == (200, False)
    assert enabled["changed_at"] is not None
    assert get(server, "/caller", token=other.token())[0] == 200


def test_a_key_gets_another_secret_and_the_former_one_ends_when_it_was_told_to(keyed, get, post):
    server, admin = keyed
    other = Key(admin.file, "read:*")
    status, rotated = post(server, f"/keys/{other.id}/rotate", {}, admin.token())
    key, changed = rotated["key"], datetime.fromisoformat(rotated["key"]["changed_at"])
    token = sign_token(derived_key(rotated["secret_key"]), other.id, EVERYTHING, int(time.time()) + 60)

    assert (status, key["id"]) == (200, other.id)
    assert datetime.fromisoformat(key["former_until"]) - changed == timedelta(hours=1)
    assert [get(server, "/caller", token=each)[0] for each in (other.token(), token)] == [200, 200]
    ended = post(server, f"/keys/{other.id}/rotate", {"grace": 0}, admin.token())[1]
    assert ended["key"]["former_until"] is None
    assert [get(server, "/caller", token=each)[0] for each in (other.token(), token)] == [401, 401]


def test_an_owner_of_everything_gets_the_new_secret_of_its_own_key_though_the_old_one_ends(keyed, get, post):
    server, admin = keyed
    status, rotated = post(server, f"/keys/{admin.id}/rotate", {"grace": 0}, admin.token())
    token = sign_token(derived_key(rotated["secret_key"]), admin.id, EVERYTHING, int(time.time()) + 60)

    assert status == 200
    assert [get(server, "/keys", token=each)[0] for each in (admin.token(), token)] == [401, 200]


@pytest.mark.parametrize("grace", [-1, 30 * 24 * 3600 + 1, 1e300, float("nan"), "1h", None])
def test_a_grace_that_is_no_time_is_refused(keyed, post, grace):
    server, admin = keyed

    assert post(server, f"/keys/{admin.id}/rotate", {"grace": grace}, admin.token())[0] == 400


def test_too_many_secrets_at_once_are_refused_and_told_what_to_do(keyed, post):
    server, admin = keyed
    other = Key(admin.file, "read:*")
    answers = [post(server, f"/keys/{other.id}/rotate", {}, admin.token()) for _ in range(3)]

    assert [status for status, _ in answers] == [200, 200, 409]
    assert "still valid" in answers[2][1]["message"]


def test_a_key_is_removed_once_it_is_disabled(keyed, get, post):
    server, admin = keyed
    other = Key(admin.file, "read:*")
    early = post(server, f"/keys/{other.id}/remove", {}, admin.token())
    post(server, f"/keys/{other.id}/disable", {}, admin.token())

    assert (early[0], post(server, f"/keys/{other.id}/remove", {}, admin.token())[0]) == (409, 200)
    assert [each["id"] for each in get(server, "/keys", token=admin.token())[1]["keys"]] == [admin.id]
    assert post(server, f"/keys/{other.id}/enable", {}, admin.token())[0] == 404


@pytest.mark.parametrize("allowed", ["read,list,write,delete,presign:*", "admin:*"])
@pytest.mark.parametrize("action", ["disable", "enable", "rotate", "remove"])
def test_a_key_that_does_not_allow_everything_changes_no_key_not_even_itself(keyed, post, allowed, action):
    server, admin = keyed
    other = Key(admin.file, allowed)
    before = admin.file.read_bytes()

    assert post(server, f"/keys/{admin.id}/{action}", {}, other.token())[0] == 403
    # its own key as well; that it may not disable itself is told to everybody
    assert post(server, f"/keys/{other.id}/{action}", {}, other.token())[0] in {400, 403}
    assert admin.file.read_bytes() == before


def test_who_is_disabled_while_its_change_waits_leaves_no_key_behind(keyed, post, monkeypatch):
    server, admin = keyed
    other = Key(admin.file, EVERYTHING_ALLOWED)
    token, locked = other.token(), file_locks.locked

    def late(path):
        # by now the change is admitted, and would wait for the lock on the file
        monkeypatch.setattr(file_locks, "locked", locked)
        disable_key(admin.file, other.id)
        return locked(path)

    monkeypatch.setattr(file_locks, "locked", late)
    status, problem = post(server, "/keys", {"allow": ["read:*"]}, token)

    assert status == 401
    assert "disabled" in problem["message"]
    assert len(read_keys(admin.file)) == 2


def test_two_who_disable_each_other_leave_one_who_may_do_everything(keyed, post):
    server, admin = keyed
    other = Key(admin.file, EVERYTHING_ALLOWED)
    pairs = [(admin.id, other.token()), (other.id, admin.token())]
    with ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(lambda pair: post(server, f"/keys/{pair[0]}/disable", {}, pair[1])[0], pairs))

    assert sorted(statuses) == [200, 401]
    assert sorted(each.may_everything for each in read_keys(admin.file).values()) == [False, True]


def test_a_signature_that_was_used_is_no_longer_good_once_the_key_is_disabled(keyed, ask):
    server, admin = keyed
    other = Key(admin.file, EVERYTHING_ALLOWED)
    signed = other.headers("GET", f"{ROOT}/caller?")
    asked = [ask(f"{server.http_endpoint}{ROOT}/caller", **signed).status]
    disable_key(admin.file, other.id)
    asked += [ask(f"{server.http_endpoint}{ROOT}/caller", **signed).status]

    assert asked == [200, 401]


@pytest.mark.parametrize("name", ["AK%0AERROR%20forged", "%E2%80%AE", "..%2F..", "x" * 200])
def test_an_id_that_is_none_is_not_found_and_begins_no_line_of_the_log(keyed, post, caplog, name):
    caplog.set_level("INFO")
    server, admin = keyed
    status, problem = post(server, f"/keys/{name}/disable", {}, admin.token())

    assert status == 404
    assert "\n" not in problem["message"]
    assert not any("\n" in each.getMessage() for each in caplog.records)


def test_each_change_has_a_line_in_the_log_that_tells_who_and_which_and_no_secret(keyed, post, caplog):
    caplog.set_level("INFO", "actorc.storage.server.keys")
    server, admin = keyed
    made = post(server, "/keys", {"allow": ["read:a*"], "comment": "a\nb"}, admin.token())[1]
    name = made["key"]["id"]
    rotated = post(server, f"/keys/{name}/rotate", {"grace": 60}, admin.token())[1]
    for action in ("disable", "enable", "disable", "remove"):
        post(server, f"/keys/{name}/{action}", {}, admin.token())
    told = [each.getMessage() for each in caplog.records if each.name == "actorc.storage.server.keys"]

    assert told == [
        f"access key '{name}' was {what}, by '{admin.id}'"
        for what in (
            "added, it allows 'read:a*'",
            "given another secret, former ones are valid for 60 s at most",
            "disabled",
            "enabled",
            "disabled",
            "removed",
        )
    ]
    assert made["secret_key"] not in caplog.text
    assert rotated["secret_key"] not in caplog.text


def test_a_signature_covers_the_body(keyed, ask):
    server, admin = keyed
    body, target = b'{"allow": ["read:one"]}', f"{ROOT}/keys?"

    def sent(signed_body):
        now = int(time.time() * 1000)
        signed = dict(sign_request(derived_key(admin.secret), admin.id, f"POST {target}", signed_body, now))
        return ask(f"{server.http_endpoint}{target}", "POST", body, **signed, **JSON).status

    assert sent(body) == 201
    assert sent(b'{"allow": ["read:two"]}') == 401


def test_a_signature_without_the_hash_of_the_body_is_refused_before_it_is_read(keyed, ask):
    server, admin = keyed
    now = int(time.time() * 1000)
    signed = dict(sign_request(derived_key(admin.secret), admin.id, f"POST {ROOT}/keys?", b"{}", now))
    del signed["x-acs-hash"]

    assert ask(f"{server.http_endpoint}{ROOT}/keys?", "POST", b"{}", **signed, **JSON).status == 401


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"", 400, "JSON"),
        (b"\xff", 400, "JSON"),
        (b"[]", 400, "object"),
        (b"{}", 400, "allow"),
        ({"allow": []}, 400, "allow"),
        ({"allow": ["nonsense"]}, 400, "allow"),
        ({"allow": ["fly:*"]}, 400, "allow"),
        ({"allow": ["read:*"], "colour": 1}, 400, "colour"),
        ({"allow": ["read:*"], "comment": "x" * 2000}, 400, "comment"),
        ({"allow": ["read:*"], "comment": "x" * 2_000_000}, 413, "bytes"),
        (b"[" * 600_000, 400, ""),
    ],
)
def test_a_wrong_body_is_refused_by_name(keyed, post, get, body, status, named):
    server, admin = keyed
    found, problem = post(server, "/keys", body, admin.token())

    assert found == status
    assert named in problem["message"]
    assert len(get(server, "/keys", token=admin.token())[1]["keys"]) == 1


def test_a_body_of_another_type_is_refused(keyed, post):
    server, admin = keyed

    # what a form of another site can send
    assert post(server, "/keys", {"allow": ["read:*"]}, admin.token(), Content_Type="text/plain")[0] == 415


def test_a_path_tells_its_own_methods(keyed, ask):
    server, admin = keyed
    token = f"Bearer {admin.token()}"
    told = {
        (method, path): (answer.status, answer.headers["Allow"])
        for method in ("OPTIONS", "GET", "PUT")
        for path in ("/keys", "/keys/a/disable")
        for answer in [ask(f"{server.http_endpoint}{ROOT}{path}", method, Authorization=token)]
    }

    assert told == {
        ("OPTIONS", "/keys"): (204, "GET, HEAD, POST, OPTIONS"),
        ("OPTIONS", "/keys/a/disable"): (204, "POST, OPTIONS"),
        ("GET", "/keys"): (200, None),
        ("GET", "/keys/a/disable"): (405, "POST, OPTIONS"),
        ("PUT", "/keys"): (405, "GET, HEAD, POST, OPTIONS"),
        ("PUT", "/keys/a/disable"): (405, "POST, OPTIONS"),
    }


def test_who_made_a_key_stands_in_the_access_log(keyed, post, told):
    server, admin = keyed
    post(server, "/keys", {"allow": ["read:*"]}, admin.token())

    (line,) = told("POST", 1)
    assert line.endswith(f"by={admin.id}")


def test_a_caller_who_is_gone_before_the_body_is_there_is_no_failure_of_the_server(tmp_path, line, told, caplog):
    admin = Key(tmp_path / "keys.json", EVERYTHING_ALLOWED)
    with local_server(http=True, keys=tmp_path / "keys.json") as server:
        headers = (f"Authorization: Bearer {admin.token()}", "Content-Type: application/json", "Content-Length: 2")
        line(f"{server.http_endpoint}{ROOT}/keys", "POST", *headers).close()
        assert told("POST", 1)[0].split()[1] == "499"

    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
