"""Where the controller is: argument, environment, starter, default, and each says where it came from."""

from __future__ import annotations

import pytest

from actorc.controller.client.address import ControllerChoice, start_when_needed
from actorc.controller.errors import AddressError, ControllerError


@pytest.fixture
def starter():
    """A starter that counts how often it was called."""
    started = []

    def start():
        started.append(f"127.0.0.1:{1001 + len(started)}")
        return started[-1], "its own"

    start_when_needed(start)
    yield started
    start_when_needed(None)


def test_an_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("IGNIS_ADDR", "ignis:1")
    monkeypatch.setenv("APP_ID", "environment")

    found = ControllerChoice("here:2", "mine").destination()

    assert (found.address, found.origin, found.app_id) == ("here:2", "the address argument", "mine")


def test_ignis_addr_goes_before_master_addr(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "master:1")
    monkeypatch.setenv("IGNIS_ADDR", "ignis:2")
    monkeypatch.setenv("APP_ID", "environment")

    found = ControllerChoice().destination()

    assert (found.address, found.origin) == ("ignis:2", "IGNIS_ADDR")
    assert (found.app_id, found.app_id_origin) == ("environment", "APP_ID")


def test_master_addr_counts_only_with_a_port(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "master")
    without = ControllerChoice().destination()
    monkeypatch.setenv("MASTER_ADDR", "master:29500")
    with_port = ControllerChoice().destination()

    assert (without.address, without.origin) == ("localhost:50051", "the built-in default")
    assert (with_port.address, with_port.origin) == ("master:29500", "MASTER_ADDR")


def test_every_process_has_an_id_of_its_own():
    assert ControllerChoice().destination().app_id != ControllerChoice().destination().app_id


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":1", "host:0", "host:65536", "http://host:1", "::1:5", "a b:1"]
)
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(AddressError, match=r"\(from the address argument\) is not the address of a controller"):
        ControllerChoice(address)


@pytest.mark.parametrize("address", ["localhost:1", "10.0.0.1:65535", "[::1]:50051"])
def test_hosts_have_names_and_numbers(address):
    assert ControllerChoice(address).destination().address == address


def test_a_wrong_address_names_the_variable_it_came_from(monkeypatch):
    monkeypatch.setenv("IGNIS_ADDR", "nowhere")

    with pytest.raises(ValueError, match="from IGNIS_ADDR"):
        ControllerChoice()


def test_a_starter_is_called_once_and_only_when_needed(starter):
    choice = ControllerChoice()
    assert starter == []

    first, second = choice.destination(), ControllerChoice().destination()

    assert (first.address, second.address) == (starter[0], starter[0])
    assert len(starter) == 1


def test_a_starter_is_not_called_for_an_address_somebody_chose(starter):
    assert ControllerChoice("here:1").destination().address == "here:1"
    assert starter == []


def test_a_started_controller_knows_its_own_application_only(starter):
    assert ControllerChoice(app_id="mine").destination().app_id == "its own"


def test_a_started_controller_that_is_gone_is_started_again_once(starter):
    choice, other = ControllerChoice(), ControllerChoice()
    gone = choice.destination()

    again, same = choice.restarted(gone), other.restarted(gone)

    assert again == same
    assert [gone.address, again.address] == starter


def test_a_chosen_controller_is_never_started_again(starter):
    choice = ControllerChoice("here:1")

    assert choice.restarted(choice.destination()) is None


def test_the_address_error_is_a_controller_error():
    with pytest.raises(ControllerError):
        ControllerChoice("x")
