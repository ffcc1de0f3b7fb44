"""Only who has the token gets in, and only under the names of this machine."""

from __future__ import annotations

import pytest

from lucas_storage.ui.gate import Gate

PORT = 4321
HOST = [f"127.0.0.1:{PORT}"]


@pytest.fixture
def gate():
    return Gate(PORT)


def test_the_address_that_was_printed_lets_in(gate):
    for host in HOST[0], f"localhost:{PORT}", f"LOCALHOST:{PORT}":
        assert gate.refusal("GET", f"/{gate.token}/runs", [host], []) is None
        assert gate.refusal("HEAD", f"/{gate.token}/", [host], [f"http://{host}"]) is None


@pytest.mark.parametrize("path", ["/", "", "/runs", "//", "/{token}x/", "/{short}/", "/é/", "/ /{token}/", "/\udc80/"])
def test_an_address_without_the_token_is_refused(gate, path):
    status, _ = gate.refusal("GET", path.format(token=gate.token, short=gate.token[:-1]), HOST, [])

    assert status == 403


@pytest.mark.parametrize(
    "hosts",
    [[], ["attacker.example"], [f"attacker.example:{PORT}"], ["127.0.0.1"], [f"127.0.0.1:{PORT + 1}"], HOST * 2],
)
def test_a_name_that_another_site_made_resolve_to_this_machine_is_refused_with_the_token_too(gate, hosts):
    status, _ = gate.refusal("GET", f"/{gate.token}/", hosts, [])

    assert status == 421


@pytest.mark.parametrize(
    "origin", ["https://attacker.example", "null", f"https://127.0.0.1:{PORT}", "http://localhost"]
)
def test_a_page_of_another_site_is_refused_with_the_token_too(gate, origin):
    status, _ = gate.refusal("GET", f"/{gate.token}/", HOST, [origin])

    assert status == 403


def test_a_form_is_taken_from_a_page_of_this_program(gate):
    for host in HOST[0], f"localhost:{PORT}":
        assert gate.refusal("POST", f"/{gate.token}/access", HOST, [f"http://{host}"]) is None


@pytest.mark.parametrize("origins", [[], ["null"], ["https://attacker.example"], [f"http://{HOST[0]}"] * 2])
def test_a_form_that_no_page_of_this_program_sent_is_refused_with_the_token_too(gate, origins):
    status, _ = gate.refusal("POST", f"/{gate.token}/access", HOST, origins)

    assert status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "CONNECT", "get", "post"])
def test_there_are_no_other_methods(gate, method):
    status, _ = gate.refusal(method, f"/{gate.token}/", HOST, [])

    assert status == 405


def test_each_program_has_a_token_of_its_own_that_cannot_be_guessed():
    tokens = {Gate(PORT).token for _ in range(100)}

    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 40
