"""Who may do what through the API: the same as through gRPC, by a signature or a token."""

from __future__ import annotations

import time

import pytest

from actorc.storage._auth import derived_key
from actorc.storage._wire.token_signing import EVERYTHING, MAX_TTL, READING, sign_token
from actorc.storage.server.auth.key_file import disable_key
from actorc.storage.testing import local_server

from .conftest import ROOT, Key

DAY = 24 * 3600


def test_without_a_proof_nobody_is_answered(closed_server, get, ask):
    status, problem = get(closed_server, "/server")

    assert (status, problem["code"]) == (401, "Unauthenticated")
    assert "lucas-storage token" in problem["message"]
    answer = ask(f"{closed_server.http_endpoint}{ROOT}/server")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_description_of_the_api_is_for_everybody(closed_server, get):
    status, document = get(closed_server, "/openapi.json")

    assert (status, document["openapi"]) == (200, "3.1.0")
    assert document["security"][0] == {"token": []}


def test_a_signed_request_acts_for_its_key(closed_server, get, admin, reader):
    assert get(closed_server, "/caller", key=admin)[1]["access_key"] == admin.id
    assert get(closed_server, "/caller", key=reader)[1] == {
        "access_key": reader.id,
        "statements": ["read,list:bucket/shown/"],
    }


def test_a_token_acts_for_its_key(closed_server, get, reader):
    assert get(closed_server, "/caller", token=reader.token())[1]["access_key"] == reader.id


def test_nothing_is_shown_that_the_key_may_not_see(closed_server, get, reader):
    token = reader.token()
    shown = {
        target: get(closed_server, target, token=token)[0]
        for target in (
            "/buckets/bucket/object?key=shown/a",
            "/buckets/bucket/object?key=hidden/b",
            "/buckets/bucket/content?key=hidden/b",
            "/buckets/bucket/object?key=hidden/missing",
            "/buckets/bucket/url?key=shown/a",
            "/buckets/secret/objects",
            "/buckets/secret",
        )
    }

    assert list(shown.values()) == [200, 403, 403, 403, 403, 403, 403]
    assert [each["name"] for each in get(closed_server, "/buckets", token=token)[1]["buckets"]] == ["bucket"]
    listed = get(closed_server, "/buckets/bucket/objects?prefix=shown/", token=token)[1]
    assert [each["key"] for each in listed["objects"]] == ["shown/a"]
    assert [each["key"] for each in get(closed_server, "/buckets/bucket/objects", token=token)[1]["objects"]] == [
        "shown/a"
    ]


def test_a_signature_is_good_for_its_own_request_only(closed_server, ask, admin):
    url = f"{closed_server.http_endpoint}{ROOT}/caller?"
    signed = {
        "as it is": admin.headers("GET", f"{ROOT}/caller?"),
        "another path": admin.headers("GET", f"{ROOT}/server?"),
        "another method": admin.headers("HEAD", f"{ROOT}/caller?"),
        "too old": admin.headers("GET", f"{ROOT}/caller?", seconds=-3600),
        "another key": {**admin.headers("GET", f"{ROOT}/caller?"), "x-acs-key": "AKNOBODY"},
        "another body": {**admin.headers("GET", f"{ROOT}/caller?"), "x-acs-hash": "0" * 64},
        "no time": {**admin.headers("GET", f"{ROOT}/caller?"), "x-acs-date": "now"},
    }

    assert {name: ask(url, **headers).status for name, headers in signed.items()} == {
        name: 200 if name == "as it is" else 401 for name in signed
    }


def test_a_call_that_was_signed_for_grpc_is_no_request(closed_server, ask, admin):
    headers = admin.headers("", "/ignis.storage.v1.StorageService/GetServerInfo")

    assert ask(f"{closed_server.http_endpoint}{ROOT}/caller?", **headers).status == 401


def test_a_token_is_refused_once_anything_is_wrong_with_it(closed_server, get, admin):
    good = admin.token()
    name, expiry = good.split(".")[1:3]
    refused = {
        "expired": admin.token(seconds=-1),
        "valid for too long": admin.token(seconds=MAX_TTL + DAY),
        "changed expiry": good.replace(expiry, str(int(expiry) + 1)),
        "changed scope": admin.token(READING).replace(".read.", ".all."),
        "another key": good.replace(name, "QUtOT0JPRFk"),
        "wrong secret": sign_token(derived_key("wrong"), admin.id, EVERYTHING, int(time.time()) + 60),
        "cut": good[:-1],
        "empty": "",
        "no base64": good.replace(name, "*"),
        "no text": good.replace(name, "_w"),
        "long": "a" * 5000,
        "other numbers": good.replace(expiry, "١٢٣"),
    }

    assert get(closed_server, "/caller", token=good)[0] == 200
    for case, token in refused.items():
        latin = token.encode().decode("latin-1")
        assert get(closed_server, "/caller", token=latin)[0] == 401, case


def test_a_token_for_reading_may_not_make_urls(closed_server, get, admin):
    assert get(closed_server, "/buckets/bucket/url?key=shown/a", token=admin.token())[0] == 200
    assert get(closed_server, "/buckets/bucket/url?key=shown/a", token=admin.token(READING))[0] == 403
    assert get(closed_server, "/caller", token=admin.token(READING))[1]["statements"] == ["read,list:*"]


def test_a_token_ends_with_its_key(tmp_path, get):
    first, second = Key(tmp_path / "keys.json", "read:*"), Key(tmp_path / "keys.json", "read:*")
    with local_server(http=True, keys=tmp_path / "keys.json") as server:
        token = first.token()
        assert get(server, "/caller", token=token)[0] == 200
        disable_key(tmp_path / "keys.json", first.id)

        assert get(server, "/caller", token=token)[0] == 401
        assert get(server, "/caller", key=second)[0] == 200


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "bearer  ", "Token x"])
def test_other_schemes_are_refused(closed_server, get, header):
    assert get(closed_server, "/caller", Authorization=header)[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer acs1.QUs.99999999999.all.\udcff"},
        {"x-acs-key": "\udcff", "x-acs-date": "{now}", "x-acs-hash": "0" * 64, "x-acs-sig": "0"},
        {"x-acs-key": "AK", "x-acs-date": "{now}", "x-acs-hash": "0" * 64, "x-acs-sig": "\udcff"},
        {"x-acs-key": "AK", "x-acs-date": "{now}", "x-acs-hash": "\udcff" * 64, "x-acs-sig": "0"},
    ],
    ids=["token", "key", "signature", "hash"],
)
def test_a_proof_of_bytes_that_are_no_text_is_refused(closed_server, line, headers):
    now = str(int(time.time() * 1000))
    lines = [f"{name}: {value.format(now=now)}" for name, value in headers.items()]

    asked = line(f"{closed_server.http_endpoint}{ROOT}/caller", "GET", *lines, "Connection: close")

    assert asked.rest().startswith(b"HTTP/1.1 401 ")


def test_a_repeated_header_is_refused(closed_server, line, admin):
    token = f"Authorization: Bearer {admin.token()}"
    asked = line(f"{closed_server.http_endpoint}{ROOT}/caller", "GET", token, token, "Connection: close")

    assert asked.rest().startswith(b"HTTP/1.1 401 ")


def test_who_asked_stands_in_the_access_log(closed_server, get, told, admin):
    get(closed_server, "/buckets/bucket/object?key=shown/a", token=admin.token())

    assert any("bucket='bucket' key='shown/a'" in each and admin.id in each for each in told("GET", 1))
