from __future__ import annotations

import json
import urllib.request

import pytest

from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server


@pytest.fixture
def keyed(tmp_path, monkeypatch):
    key, secret = add_key(tmp_path / "keys.json", [Statement.parse("read,list,write:*")])
    monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
    monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
    with local_server(http=True, keys=tmp_path / "keys.json") as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        yield server


def caller(server, token):
    request = urllib.request.Request(
        f"{server.http_endpoint}/api/v1/caller", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_the_token_that_is_printed_is_good(keyed, invoke):
    result = invoke("token")

    assert (result.exit_code, result.stderr) == (0, "")
    assert caller(keyed, result.stdout.strip())["statements"] == ["read,list,write:*"]


def test_a_token_for_reading_allows_no_more(keyed, invoke):
    told = json.loads(invoke("token", "--read-only", "--ttl", "1m", "--json").stdout)

    assert (told["expires"], told["read_only"]) == (60, True)
    assert caller(keyed, told["token"])["statements"] == ["read,list:*"]


def test_no_server_is_needed(keyed, invoke, monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "127.0.0.1:1")
    result = invoke("token")

    assert result.exit_code == 0
    assert caller(keyed, result.stdout.strip())["access_key"]


@pytest.mark.parametrize("ttl", ["0s", "2d", "soon"])
def test_a_time_that_is_not_allowed_is_refused(keyed, invoke, ttl):
    result = invoke("token", "--ttl", ttl)

    assert result.exit_code == 2
    assert ttl in result.stderr or "1d" in result.stderr


def test_without_a_key_it_says_where_one_comes_from(invoke, monkeypatch):
    monkeypatch.delenv("STORAGE_ACCESS_KEY", raising=False)
    monkeypatch.delenv("STORAGE_SECRET_KEY", raising=False)
    monkeypatch.setenv("STORAGE_ENDPOINT", "127.0.0.1:1")
    result = invoke("token")

    assert result.exit_code == 2
    assert "lucas-storage keys add" in result.stderr
