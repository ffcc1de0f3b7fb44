from __future__ import annotations

import pytest

from actorc.storage.config import ClientOptions
from actorc.storage.errors import InvalidParameterError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_argument_wins_over_the_environment_and_that_over_the_default(monkeypatch):
    origins = [ClientOptions.resolve().address]
    monkeypatch.setenv("STORAGE_ENDPOINT", "from-env:1")
    origins.append(ClientOptions.resolve().address)
    origins.append(ClientOptions.resolve("given:2").address)

    assert origins == [
        "localhost:9000 (from the built-in default)",
        "from-env:1 (from STORAGE_ENDPOINT)",
        "given:2 (from the endpoint argument)",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("host", "host:9000"),
        ("host:1", "host:1"),
        ("[::1]:5", "[::1]:5"),
        ("[::1]", "[::1]:9000"),
        ("1.2.3.4:80", "1.2.3.4:80"),
    ],
)
def test_an_endpoint_without_a_port_gets_the_usual_one(given, expected):
    assert ClientOptions.resolve(given).endpoint == expected


@pytest.mark.parametrize("wrong", ["", ":9000", "http://host:1", "host:", "host:x", "host:0", "host:70000", "a b:1", 7])
def test_what_is_no_endpoint_is_refused_and_its_origin_named(wrong):
    with pytest.raises(InvalidParameterError, match="from the endpoint argument"):
        ClientOptions.resolve(wrong)


def test_keys_come_in_pairs(monkeypatch):
    monkeypatch.setenv("STORAGE_ACCESS_KEY", "name")

    with pytest.raises(InvalidParameterError, match="go together"):
        ClientOptions.resolve()
    assert ClientOptions.resolve(secret_key="s").access_key == "name"


def test_secrets_are_not_shown():
    options = ClientOptions.resolve("h:1", "planted-access", "planted-secret")

    assert "planted" not in repr(options)
