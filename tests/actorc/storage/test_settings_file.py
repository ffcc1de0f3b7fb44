"""Profiles: settings of a client from a file, in one order with arguments and the environment."""

from __future__ import annotations

import logging
import pickle

import pytest

from actorc.storage import AsyncStorageClient, InvalidParameterError, StorageClient
from actorc.storage.client_settings import CLIENT
from actorc.storage.config import ClientOptions
from actorc.storage.settings_file import OF_CLIENT

FILE = """
endpoint = "top:1"
http_endpoint = "http://top"

[profiles.lab]
endpoint = "lab:1"
access_key = "lab-access"
secret_key = "planted-secret"
use_ssl = true
ca_file = "certificates/lab.pem"

[profiles.bare]
local = false
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The settings file, in a clean environment."""
    for way in CLIENT:
        monkeypatch.delenv(way.variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config" / "lucas-storage.toml"
    path.parent.mkdir()
    path.write_text(FILE)
    path.chmod(0o600)
    return path


def test_the_file_can_have_every_setting_of_a_client():
    assert {way.name for way in CLIENT} == OF_CLIENT


def test_a_profile_has_all_that_a_client_needs(file):
    options = ClientOptions.resolve(profile="lab")

    assert (options.endpoints, options.access_key, options.secret_key) == (("lab:1",), "lab-access", "planted-secret")
    assert (options.use_ssl, options.ca_file) == (True, file.parent / "certificates" / "lab.pem")
    assert options.http_endpoint == "http://top"
    assert options.endpoint_origin == options.key_origin == f"the profile lab in {file}"


@pytest.mark.usefixtures("file")
def test_without_a_profile_the_top_of_the_file_counts():
    assert ClientOptions.resolve().endpoint == "top:1"
    assert ClientOptions.resolve(profile="bare").endpoint == "top:1"
    assert not ClientOptions.resolve(profile="bare").local


@pytest.mark.usefixtures("file")
def test_arguments_win_over_their_profile_it_over_variables_and_these_over_the_profile_of_a_variable(monkeypatch):
    monkeypatch.setenv("STORAGE_PROFILE", "lab")
    found = [ClientOptions.resolve().endpoint]
    monkeypatch.setenv("STORAGE_ENDPOINT", "variable:1")
    found += [ClientOptions.resolve(**given).endpoint for given in ({}, {"profile": "lab"})]
    found += [ClientOptions.resolve("argument:1", profile="lab").endpoint]

    assert found == ["lab:1", "variable:1", "lab:1", "argument:1"]


@pytest.mark.usefixtures("file")
def test_the_profile_of_an_argument_takes_the_place_of_that_of_a_variable(monkeypatch):
    monkeypatch.setenv("STORAGE_PROFILE", "lab")
    options = ClientOptions.resolve(profile="bare")

    assert (options.endpoint, options.access_key, options.local) == ("top:1", None, False)


@pytest.mark.usefixtures("file")
def test_keys_of_variables_that_are_for_another_server_are_not_sent_to_that_of_a_profile(monkeypatch):
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"STORAGE_{name}", "of-the-variable")
    monkeypatch.setenv("STORAGE_KEY_ENDPOINT", "127.0.0.1:9000")

    assert ClientOptions.resolve(profile="lab").access_key == "lab-access"
    assert ClientOptions.resolve(profile="bare").access_key is None


@pytest.mark.usefixtures("file")
def test_clients_take_profiles_and_carry_their_name_and_no_secret_in_pickles():
    with StorageClient(profile="lab") as client:
        shipped = pickle.dumps(client)
        with pickle.loads(shipped) as again:
            assert (again.endpoint, again.access_key, again.use_ssl) == ("lab:1", "lab-access", True)

    assert b"planted-secret" not in shipped
    assert AsyncStorageClient(profile="lab").endpoint == "lab:1"


@pytest.mark.parametrize(
    ("text", "profile", "said"),
    [
        (
            FILE,
            "lap",
            r"there is no profile 'lap' \(from the profile argument\) in .*lucas-storage.toml; it has bare, lab",
        ),
        (None, "lab", r"there is no profile 'lab' .* add a table \[profiles.lab\] to it"),
        ("[profiles.lab]\nendpont = 'lab:1'", "lab", r"unknown names in the profile lab \(endpont\); known are"),
        ("endpont = 'lab:1'", None, r"unknown names \(endpont\); known are"),
        ("profiles = 7", None, "has profiles that are no tables"),
        ("profiles.lab = 7", "lab", "has profiles that are no tables"),
        ("[profiles.lab]\nuse_ssl = 'perhaps'", "lab", "the setting use_ssl of the profile lab in .* must be 1 or 0"),
        ("[profiles.lab]\naccess_key = 7", "lab", "the setting access_key of the profile lab in .* must be text"),
        ("[profiles.lab]\nendpoint = 7", "lab", r"7 \(from the profile lab in .*\) is not an endpoint"),
        ("[profiles.lab]\naccess_key = 'name'", "lab", "go together"),
        ("[profiles.lab", "lab", "cannot be read as TOML"),
        (FILE, "", "the setting profile of the profile argument cannot be used; it must be text"),
        (FILE, 7, "the setting profile of the profile argument cannot be used; it must be text"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_at_once(file, text, profile, said):
    if text is None:
        file.unlink()
    else:
        file.write_text(text)

    with pytest.raises(InvalidParameterError, match=said):
        StorageClient(profile=profile)


@pytest.mark.usefixtures("file")
def test_a_wrong_variable_names_itself(monkeypatch):
    monkeypatch.setenv("STORAGE_PROFILE", "lap")

    with pytest.raises(InvalidParameterError, match=r"there is no profile 'lap' \(from STORAGE_PROFILE\)"):
        StorageClient()


def test_a_changed_file_is_read_again(file):
    before = ClientOptions.resolve(profile="lab").endpoint
    file.write_text('[profiles.lab]\nendpoint = "another-lab:1"')

    assert (before, ClientOptions.resolve(profile="lab").endpoint) == ("lab:1", "another-lab:1")


def test_keys_that_others_may_read_are_warned_of(file, caplog):
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        ClientOptions.resolve(profile="lab")

    assert f"other users may read the keys in {file}" in caplog.text
