from __future__ import annotations

from pathlib import Path

import pytest

from actorc.storage.errors import InvalidParameterError
from actorc.storage.server import ServerOptions
from actorc.storage.server.listen_address import numeric_address


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:9000", "127.0.0.1:9000"), ("127.5.5.5:0", "127.5.5.5:0"), ("[::1]:80", "[::1]:80")],
)
def test_loopback_addresses_may_be_listened_on(listen, expected):
    assert expected == str(numeric_address(listen, loopback_only=True))


def test_a_name_is_listened_on_at_one_address():
    assert str(numeric_address("localhost:9000", loopback_only=True)) in {"127.0.0.1:9000", "[::1]:9000"}


@pytest.mark.parametrize("listen", ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000", "[2001:db8::1]:9000"])
def test_a_server_without_keys_is_refused_to_other_machines(listen):
    with pytest.raises(InvalidParameterError, match="access keys are needed beyond loopback"):
        ServerOptions(engine="memory://", listen=listen)


@pytest.mark.parametrize("listen", ["", "9000", ":9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_what_is_no_address_is_refused(listen):
    with pytest.raises(InvalidParameterError, match="HOST:PORT"):
        ServerOptions(engine="memory://", listen=listen)


def test_a_host_nobody_knows_is_refused():
    with pytest.raises(InvalidParameterError, match="not known here"):
        ServerOptions(engine="memory://", listen="no-such-host.invalid:9000")


def test_a_data_directory_stands_for_the_embedded_engine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert (tmp_path / "my data").as_uri() == ServerOptions(data=Path("my data")).engine_url


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"engine": "memory://", "data": Path("data")},
        {"engine": "memory://", "threads": 8, "reserved": 8},
        {"engine": "memory://", "reserved": 0},
        {"engine": "memory://", "idle_timeout": 0},
        {"engine": "memory://", "grace": -1},
        {"engine": "memory://", "queue": -1},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidParameterError):
        ServerOptions(**wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": Path("/d")}, Path("/d/keys.json")),
        ({"engine": "file:///with%20space"}, Path("/with space/keys.json")),
        ({"engine": "/plain"}, Path("/plain/keys.json")),
        ({"engine": "memory://"}, None),
    ],
)
def test_access_keys_are_in_the_data_directory_however_it_is_named(given, expected):
    assert expected == ServerOptions(**given).keys_file


def test_access_keys_elsewhere_are_named(tmp_path):
    (tmp_path / "elsewhere").touch()

    assert tmp_path / "elsewhere" == ServerOptions(data=tmp_path, keys=tmp_path / "elsewhere").keys_file
