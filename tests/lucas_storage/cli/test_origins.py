"""Where a setting comes from is told right, by ``config`` and by errors, whatever it comes from."""

from __future__ import annotations

import json
from itertools import product

import pytest
from click.testing import CliRunner

from actorc.storage import NetworkError, StorageClient
from lucas_storage import Storage, storage_context
from lucas_storage.cli.program import program
from lucas_storage.cli.session import Session

VARIABLES = {
    "STORAGE_ENDPOINT": ("endpoint", "env:1"),
    "STORAGE_ACCESS_KEY": ("access_key", "a"),
    "STORAGE_SECRET_KEY": ("secret_key", "b"),
    "LUCAS_STORAGE_STORE": ("store", "default"),
    "LUCAS_STORAGE_BUCKET": ("bucket", "my-bucket"),
    "LUCAS_STORAGE_PREFIX": ("prefix", "p"),
    "LUCAS_STORAGE_INLINE_MAX": ("inline_max", "1"),
    "LUCAS_STORAGE_CACHE": ("cache_dir", "/cache"),
    "LUCAS_STORAGE_CACHE_MAX": ("cache_max", "1"),
    "LUCAS_STORAGE_PICKLE": ("pickle", "signed"),
    "LUCAS_STORAGE_SIGNING_KEY": ("signing_key", "a-key-for-tests-that-is-long-enough"),
    "LUCAS_STORAGE_RESUME": ("resume", "0"),
    "LUCAS_STORAGE_TTL": ("ttl", "1d"),
    "LUCAS_STORAGE_GRACE": ("grace", "1d"),
    "LUCAS_STORAGE_PROGRESS": ("progress", "0"),
    "LUCAS_STORAGE_TRACEBACKS": ("tracebacks", "full"),
    "LUCAS_STORAGE_RECORD_VALUES": ("record_values", "errors"),
    "LUCAS_STORAGE_OPENLINEAGE_FILE": ("openlineage_file", "/events"),
    "LUCAS_STORAGE_OPENLINEAGE_URL": ("openlineage_url", "http://host"),
    "LUCAS_STORAGE_OPENLINEAGE_KEY": ("openlineage_key", "key"),
    "LUCAS_STORAGE_OPENLINEAGE_NAMESPACE": ("openlineage_namespace", "mine"),
    "LUCAS_STORAGE_RUN_PORT": ("run_port", "9009"),
    "STORAGE_USE_SSL": ("use_ssl", "0"),
    "STORAGE_CA_FILE": ("ca_file", "/ca"),
    "STORAGE_HTTP_ENDPOINT": ("http_endpoint", "http://x:1"),
}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Nothing is told to this process, and its configuration is a file of this test's."""
    for name in (*VARIABLES, "LUCAS_STORAGE_ENDPOINTS", "LUCAS_STORAGE_SIGNING_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def invoke(*arguments):
    return CliRunner().invoke(program, arguments, prog_name="lucas-storage")


def origins():
    lines = [json.loads(line) for line in invoke("config", "--json").stdout.splitlines()]
    return {each["name"]: each["origin"] for each in lines}


def test_what_nobody_said_is_a_default(told):
    assert set(origins().values()) == {"built-in default"}


def test_every_variable_is_named_even_if_it_says_what_is_so_anyway(told):
    for variable, (_, value) in VARIABLES.items():
        told.setenv(variable, value)
    found = origins()

    assert {name: found[name] for name, _ in VARIABLES.values()} == {
        name: variable for variable, (name, _) in VARIABLES.items()
    }


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_variables_say_nothing(told, blank):
    for variable in VARIABLES:
        told.setenv(variable, blank)

    assert set(origins().values()) == {"built-in default"}


def test_the_file_is_named_behind_blank_variables(told, tmp_path):
    (tmp_path / "lucas-storage.toml").write_text('bucket = "of-the-file"\nendpoint = "127.0.0.1:1"\n')
    told.setenv("STORAGE_ENDPOINT", "")
    file = str(tmp_path / "lucas-storage.toml")
    found = origins()

    assert (found["bucket"], found["endpoint"]) == (file, file)
    assert f"127.0.0.1:1 (from {file})" in invoke("ls").stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "origin"),
    [
        (("--endpoint", "127.0.0.1:1"), {}, "--endpoint"),
        ((), {"STORAGE_ENDPOINT": "127.0.0.1:1"}, "STORAGE_ENDPOINT"),
        ((), {"LUCAS_STORAGE_ENDPOINTS": "default=127.0.0.1:1"}, "LUCAS_STORAGE_ENDPOINTS"),
    ],
)
@pytest.mark.parametrize("command", ["ls", "runs"])
def test_an_error_names_where_the_endpoint_came_from(told, command, arguments, variables, origin):
    for name, value in variables.items():
        told.setenv(name, value)

    assert f"127.0.0.1:1 (from {origin})" in invoke(command, *arguments).stderr


def test_an_error_of_a_workflow_names_where_the_endpoint_came_from(told, tmp_path):
    with (
        storage_context(endpoint="127.0.0.1:1", cache_dir=tmp_path / "cache"),
        Storage() as storage,
        pytest.raises(NetworkError, match=r"127\.0\.0\.1:1 \(from storage_context\)"),
    ):
        storage.put(b"x" * 100_000)


@pytest.fixture
def profile(told, tmp_path, server):
    """A profile ``lab`` that leads to a server."""
    file = tmp_path / "lucas-storage.toml"
    file.write_text(f'[profiles.lab]\nendpoint = "{server.endpoint}"\nbucket = "lab-bucket"\nca_file = "lab.pem"\n')
    return f"the profile lab in {file}"


def test_config_tells_what_comes_from_a_profile(profile, told, tmp_path):
    said = {
        each["name"]: each
        for each in map(json.loads, invoke("config", "--profile", "lab", "--json").stdout.splitlines())
    }
    told.setenv("STORAGE_PROFILE", "lab")
    told.setenv("LUCAS_STORAGE_BUCKET", "from-env")
    found = origins()

    assert {said[name]["origin"] for name in ("endpoint", "bucket", "ca_file")} == {profile}
    assert said["ca_file"]["value"] == str(tmp_path / "lab.pem")
    assert (said["profile"]["value"], said["profile"]["origin"]) == ("lab", "argument")
    assert (found["profile"], found["bucket"], found["endpoint"]) == (
        "STORAGE_PROFILE",
        "LUCAS_STORAGE_BUCKET",
        profile,
    )


def test_commands_use_the_server_of_a_profile_before_that_of_a_variable(profile, told, client):
    told.setenv("STORAGE_ENDPOINT", "127.0.0.1:1")

    assert "my-bucket" in invoke("ls", "--profile", "lab").stdout
    assert f"(from {profile})" in invoke("doctor", "--profile", "lab").stdout


def test_a_script_runs_with_a_profile_whatever_the_variables_say(profile, told, run_script, client, tmp_path):
    for name, value in {"STORAGE_ENDPOINT": "127.0.0.1:1", "LUCAS_STORAGE_BUCKET": "from-env"}.items():
        told.setenv(name, value)
    (tmp_path / "script.py").write_text(
        "from lucas_storage import Storage\nstorage = Storage()\nprint(storage.endpoint, storage.bucket)"
    )

    assert invoke("run", "--profile", "lab", "script.py").stdout == f"{client.endpoint} lab-bucket\n"


@pytest.mark.parametrize("command", [["ls"], ["run", "script.py"], ["config"]])
def test_a_profile_that_is_not_there_is_a_line(profile, tmp_path, command):
    (tmp_path / "script.py").write_text("")
    ran = invoke(command[0], "--profile", "lap", *command[1:])

    assert ran.exit_code == 2
    assert ran.stderr.startswith("lucas-storage: ")
    assert "there is no profile 'lap' (from --profile)" in ran.stderr


def test_a_directory_has_its_own_server_whatever_the_profile(profile, tmp_path):
    ran = invoke("ls", "--profile", "lab", "--data", str(tmp_path))

    assert (ran.exit_code, ran.stderr.splitlines()[-1]) == (
        2,
        "Error: --profile and --data exclude each other; a data directory has its own server",
    )


ENDPOINT, KEYS = 1, 2
"""What a place may have of the settings of a client, in any combination."""


def lines(place, has):
    endpoint = f'endpoint = "{place}.example:1"\n' if has & ENDPOINT else ""
    return endpoint + (f'access_key = "{place}"\nsecret_key = "secret-of-{place}"\n' if has & KEYS else "")


@pytest.mark.slow
@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("named_by", [None, "argument", "variable"])
def test_client_plugin_and_commands_find_the_same_in_the_same_places(told, tmp_path, served, named_by, is_local):
    """Every combination of what the places have, with and without a server of this directory."""
    told.chdir(served if is_local else tmp_path)
    if named_by == "variable":
        told.setenv("STORAGE_PROFILE", "lab")
    profile = "lab" if named_by == "argument" else None
    for number, (variable, lab, top) in enumerate(product(range(4), repeat=3)):
        comment = f"# {number:>3}\n"  # so that each file has another size or another inode
        file = tmp_path / "new.toml"
        file.write_text(comment + lines("top", top) + "[profiles.lab]\n" + lines("lab", lab))
        file.replace(tmp_path / "lucas-storage.toml")
        for name, value, part in (
            ("ENDPOINT", "variable.example:1", ENDPOINT),
            ("ACCESS_KEY", "variable", KEYS),
            ("SECRET_KEY", "secret-of-variable", KEYS),
        ):
            told.setenv(f"STORAGE_{name}", value if variable & part else "")
        with StorageClient(profile=profile) as client, storage_context(profile=profile), Storage() as storage:
            found = [(each.endpoint, each.access_key, each.secret_key) for each in (client, storage)]
        session = Session(None, None, profile=profile)
        with session.client() as of_command:
            found.append((of_command.endpoint, of_command.access_key, of_command.secret_key))

        assert len(set(found)) == 1, (variable, lab, top, found)
