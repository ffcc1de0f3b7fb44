from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from actorc.storage.client_settings import origin_of
from actorc.storage.config import ClientOptions, OriginatedEndpoint, upload_journals
from actorc.storage.errors import InvalidParameterError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    # whoever has run something in this checkout has a data directory in it
    monkeypatch.chdir(tmp_path)
    for name in ("STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY", "STORAGE_USE_SSL", "STORAGE_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


def shown(options):
    return options.address(options.endpoint)


def test_the_argument_wins_over_the_environment_and_that_over_the_default(monkeypatch):
    origins = [shown(ClientOptions.resolve())]
    monkeypatch.setenv("STORAGE_ENDPOINT", "from-env:1")
    origins.append(shown(ClientOptions.resolve()))
    origins.append(shown(ClientOptions.resolve("given:2")))

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
        ("a,b:1,[::1],[fe80::1%eth0]:2", "a:9000,b:1,[::1]:9000,[fe80::1%eth0]:2"),
    ],
)
def test_an_endpoint_without_a_port_gets_the_usual_one(given, expected):
    assert ClientOptions.resolve(given).endpoint == expected


@pytest.mark.parametrize(
    "wrong",
    [
        *(":9000", "http://host:1", "host:", "host:x", "host:0", "host:70000", "a b:1", 7),
        *("::1", "fe80::1", "[::1", "[::1]x", "[::1]5", "[::1]:", "[host]:1", "[]:1", "a:1;b:1"),
    ],
)
def test_what_is_no_endpoint_is_refused_and_its_origin_named(wrong):
    with pytest.raises(InvalidParameterError, match="from the endpoint argument"):
        ClientOptions.resolve(wrong)


@pytest.mark.parametrize("name", ["timeout", "idle_timeout"])
@pytest.mark.parametrize("wrong", [0, -1, "5", [1], float("nan"), float("inf")])
def test_a_timeout_that_makes_no_sense_is_refused_before_anything_is_sent(name, wrong):
    with pytest.raises(InvalidParameterError) as caught:
        ClientOptions.resolve(**{name: wrong})
    assert caught.value.message.startswith(f"{name} is a number of seconds above 0")


@pytest.mark.parametrize("wrong", ["a:1,", ",a:1", "a:1,,b:1", "a:1, b:1", "a:1 ,b:1", "a:1,b:x", "a:1,::1"])
def test_one_wrong_endpoint_among_several_is_refused_and_shown_where_it_stands(monkeypatch, wrong):
    monkeypatch.setenv("STORAGE_ENDPOINT", wrong)

    with pytest.raises(InvalidParameterError) as caught:
        ClientOptions.resolve()
    assert f" in {wrong!r} (from STORAGE_ENDPOINT) is not an endpoint; give 'host:port'" in caught.value.message
    assert "IPv6 address in brackets, and several as 'a:9000,b:9000' without spaces" in caught.value.message


@pytest.mark.parametrize("wrong", ["a:1,b:1,a:1", "a,a:9000", "HOST:1,host:1"])
def test_a_server_is_named_once(wrong):
    with pytest.raises(InvalidParameterError, match=r"\(from the endpoint argument\) names a server twice"):
        ClientOptions.resolve(wrong)


def test_keys_come_in_pairs(monkeypatch):
    monkeypatch.setenv("STORAGE_ACCESS_KEY", "name")

    with pytest.raises(InvalidParameterError, match="go together"):
        ClientOptions.resolve()
    assert ClientOptions.resolve(secret_key="s").access_key == "name"


def test_secrets_are_not_shown():
    options = ClientOptions.resolve("h:1", "planted-access", "planted-secret")

    assert "planted" not in repr(options)


def test_options_are_not_pickled():
    with pytest.raises(TypeError, match="pickle the client"):
        pickle.dumps(ClientOptions.resolve("h:1", "access", "planted-secret"))


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("True", True), ("0", False), ("no", False), ("", False)])
def test_tls_may_be_set_in_the_environment(monkeypatch, text, expected):
    monkeypatch.setenv("STORAGE_USE_SSL", text)

    assert expected is ClientOptions.resolve("h:1").use_ssl
    assert ClientOptions.resolve("h:1", use_ssl=True).use_ssl


def test_a_setting_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("STORAGE_USE_SSL", "perhaps")

    with pytest.raises(InvalidParameterError, match="the setting STORAGE_USE_SSL cannot be used; it must be 1 or 0"):
        ClientOptions.resolve("h:1")


@pytest.mark.parametrize("given", [{"ca_file": "ca"}, {"cert_file": "c", "key_file": "k"}])
def test_files_of_tls_without_tls_are_a_mistake(given):
    with pytest.raises(InvalidParameterError, match="pass use_ssl=True as well"):
        ClientOptions.resolve("h:1", **given)


@pytest.mark.parametrize("given", [{"cert_file": "c"}, {"key_file": "k"}])
def test_a_client_certificate_comes_with_its_key(given):
    with pytest.raises(InvalidParameterError, match="go together"):
        ClientOptions.resolve("h:1", use_ssl=True, **given)


def test_files_of_tls_are_taken_from_the_arguments_first(monkeypatch):
    monkeypatch.setenv("STORAGE_CA_FILE", "from-env")
    found = [ClientOptions.resolve("h:1", use_ssl=True, **given).ca_file for given in ({}, {"ca_file": "given"})]

    assert [Path("from-env").absolute(), Path("given").absolute()] == found


def test_an_empty_home_is_no_place_for_journals(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "")

    assert upload_journals() is None


def test_an_endpoint_that_somebody_else_chose_is_told_by_its_origin():
    given = OriginatedEndpoint("given:2", "/etc/settings.toml")

    assert shown(ClientOptions.resolve(given)) == "given:2 (from /etc/settings.toml)"
    with pytest.raises(InvalidParameterError, match=r"from /etc/settings\.toml"):
        ClientOptions.resolve(OriginatedEndpoint("no endpoint", "/etc/settings.toml"))


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_variable_that_is_blank_says_nothing(monkeypatch, blank):
    for name in (
        "ENDPOINT",
        "ACCESS_KEY",
        "SECRET_KEY",
        "USE_SSL",
        "CA_FILE",
        "CERT_FILE",
        "KEY_FILE",
        "HTTP_ENDPOINT",
    ):
        monkeypatch.setenv(f"STORAGE_{name}", blank)
    options = ClientOptions.resolve()

    assert shown(options) == "localhost:9000 (from the built-in default)"
    assert (options.access_key, options.use_ssl, options.ca_file, options.http_endpoint) == (None, False, None, None)
    assert origin_of("use_ssl") is None


def test_the_address_of_a_client_names_its_origin_and_travels_as_plain_text(monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "store:9000")
    found = ClientOptions.resolve().endpoint

    assert shown(ClientOptions.resolve(found)) == "store:9000 (from STORAGE_ENDPOINT)"
    assert type(pickle.loads(pickle.dumps(found))) is str
