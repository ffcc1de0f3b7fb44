"""Proxies that the environment names: never on the way to this machine, and told of where they are in the way."""

from __future__ import annotations

import pytest

from actorc import _http_proxies
from actorc.controller.client.address import ControllerChoice
from actorc.controller.client.connection import Connection
from actorc.controller.errors import ControllerUnavailableError
from actorc.storage import NetworkError, RetryPolicy, StorageClient

VARIABLES = [name for each in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy") for name in (each, each.upper())]
DEAD = "http://somebody:hunter2@127.0.0.1:1"
PAST = (("grpc.enable_http_proxy", 0),)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in (*VARIABLES, "no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_server_on_this_machine_is_reached_whatever_proxy_is_named(server, monkeypatch, variable):
    monkeypatch.setenv(variable, DEAD)
    for host in ("127.0.0.1", "localhost"):
        with StorageClient(f"{host}:{server.endpoint.rpartition(':')[2]}") as client:
            client.put_object("bucket", variable, b"x")

            assert client.get_object("bucket", variable) == b"x"


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:1", "LOCALHOST:1", "localhost.:1", "a.localhost:1", "127.0.0.1:1", "127.8.9.10:1", "0.0.0.0:1"),
        *("[::1]:1", "[::ffff:127.0.0.1]:1", "[::]:1", "[0:0:0:0:0:0:0:1]:1", "127.1:1"),
    ],
)
def test_every_way_to_write_this_machine_goes_past_proxies(monkeypatch, address):
    monkeypatch.setenv("https_proxy", DEAD)

    assert _http_proxies.channel_options(address) == PAST
    assert _http_proxies.advice(address) == ""


@pytest.mark.parametrize("address", ["192.0.2.1:9000", "[2001:db8::1]:9000", "127.example.invalid:1"])
def test_other_machines_are_reached_through_the_proxy(monkeypatch, address):
    monkeypatch.setenv("http_proxy", DEAD)

    assert _http_proxies.channel_options(address) == ()
    assert "http_proxy" in _http_proxies.advice(address)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (DEAD, "http://127.0.0.1:1"),
        ("somebody:hunter2@127.0.0.1:1", "127.0.0.1:1"),
        ("http://some%40body:hunter2@127.0.0.1:1/hunter2?hunter2", "http://127.0.0.1:1"),
    ],
)
def test_an_error_names_the_proxy_in_the_way_without_its_password(monkeypatch, value, shown):
    monkeypatch.setenv("http_proxy", "http://unused:1")
    monkeypatch.setenv("https_proxy", value)
    once = RetryPolicy(attempts=1, unreached_attempts=1)
    with StorageClient("192.0.2.1:9000", timeout=5, retry=once) as client, pytest.raises(NetworkError) as caught:
        client.list_buckets()

    assert f"through the proxy {shown} that https_proxy names; add 192.0.2.1 to no_proxy" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("excluded", ["192.0.2.1", "192.0.2.0/24", "other, 192.0.2.1"])
def test_a_host_that_is_excluded_is_not_said_to_be_behind_a_proxy(monkeypatch, excluded):
    monkeypatch.setenv("http_proxy", DEAD)
    monkeypatch.setenv("no_proxy", excluded)

    assert _http_proxies.advice("192.0.2.1:9000") == ""


def test_the_controllers_client_names_the_proxy_too(monkeypatch):
    monkeypatch.setenv("grpc_proxy", DEAD)
    connection = Connection(ControllerChoice("192.0.2.1:50051", "app"))
    with pytest.raises(ControllerUnavailableError, match=r"the proxy http://127\.0\.0\.1:1 that grpc_proxy names"):
        connection.session()
