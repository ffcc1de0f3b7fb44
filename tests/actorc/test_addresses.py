from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.addresses import Address, ip, parse, resolved

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,10}){0,2}", fullmatch=True)
HOSTS = st.one_of(NAMES, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
PORTS = st.integers(1, 65535)


@given(HOSTS, PORTS)
def test_an_address_that_is_written_is_read_again(host, port):
    address = Address(host, port)

    assert parse(str(address)) == address
    assert parse(str(address), listening=True) == address


@given(HOSTS, PORTS)
def test_a_port_that_is_not_said_is_the_default(host, port):
    written = str(Address(host, 1)).removesuffix(":1")

    assert parse(written, port) == Address(host, port)
    with pytest.raises(ValueError, match="no host:port"):
        parse(written)


@given(st.ip_addresses(), PORTS)
def test_a_number_has_the_family_of_its_version(number, port):
    address = Address(str(number), port)

    assert ip(address.host) == number
    assert address.family == (socket.AF_INET if number.version == 4 else socket.AF_INET6)


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()))
def test_whatever_is_given_is_an_address_that_can_be_written_or_refused(anything):
    for more in ({}, {"default_port": 9000}, {"listening": True}):
        with suppress(ValueError):
            address = parse(anything, **more)
            assert parse(str(address), **more) == address


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:-1",
            "host:x",
            "host:+1",
            "host: 1",
            "http://host:1",
        ),
        *("a b:1", "::1", "::1:5", "[::1", "[::1]x", "[::1]5", "[::1]:", "[host]:1", "[]:1", "[1.2.3.4]:1", "a:1;b:1"),
        *("a:1,b:1", "host:1/", "host:1\n", "unix:/path", "unix:name:1", 7, None),
    ],
)
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ValueError, match="no host:port"):
        parse(wrong)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::]:0", ("::", 0)), (":::9000", ("::", 9000)), ("::1:80", ("::1", 80))],
)
def test_a_server_listens_on_any_port_and_on_ipv6_without_brackets(listen, expected):
    assert parse(listen, listening=True) == expected


@pytest.mark.parametrize("wrong", ["host", "::1", "a:b:1", "[host]:0", ":0", "host:65536"])
def test_a_server_does_not_listen_on_what_is_no_address(wrong):
    with pytest.raises(ValueError, match="no host:port"):
        parse(wrong, listening=True)


def test_a_zone_is_kept_in_the_address_and_not_in_its_number():
    address = parse("[fe80::1%eth0]:2")

    assert (str(address), ip(address.host)) == ("[fe80::1%eth0]:2", ip_address("fe80::1"))


def test_an_address_is_what_sockets_bind_and_connect_to():
    with socket.socket() as listening, socket.socket() as calling:
        listening.bind(Address("127.0.0.1", 0))
        listening.listen()
        calling.connect(Address(*listening.getsockname()))


def test_names_are_resolved_to_numbers():
    assert all(number.is_loopback for number in resolved("localhost"))
    assert resolved("127.1") == [ip_address("127.0.0.1")]
    with pytest.raises(OSError):  # noqa: PT011 -- each system has its own text
        resolved("no-such-host.invalid")
