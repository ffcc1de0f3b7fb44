"""The options of a server: in a file, on the command line, and in the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actorc.storage.errors import InvalidParameterError
from actorc.storage.server import ServerOptions
from actorc.storage.server.engines.times import UPLOAD_TTL
from actorc.storage.server.option_sources import OPTIONS, from_plain, options_from, to_plain

DOCUMENT = Path(__file__).parents[4] / "docs" / "service.md"

WHOLE = """
[storage]
data = "store"
auto_create_buckets = true
upload_ttl = 3600

[network]
listen = "127.0.0.1:9100"
http = "off"

[capacity]
workers = 2
threads = 16
idle_timeout = 1.5
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "server.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_says_how_a_server_runs(written, tmp_path):
    expected = ServerOptions(
        data=tmp_path / "store",
        auto_create_buckets=True,
        upload_ttl=3600.0,
        listen="127.0.0.1:9100",
        workers=2,
        threads=16,
        idle_timeout=1.5,
        log_level="info",
    )

    assert expected == options_from({}, written(WHOLE))


def test_the_command_line_comes_first(written):
    given = {"auto_create_buckets": False, "workers": 1, "threads": None, "http": "127.0.0.1:0"}

    options = options_from(given, written(WHOLE))

    assert (options.auto_create_buckets, options.workers, options.threads) == (False, 1, 16)
    assert options.http == "127.0.0.1:0"


def test_an_engine_on_the_command_line_takes_the_place_of_the_one_in_the_file(written):
    options = options_from({"engine": "memory://"}, written(WHOLE))

    assert (options.engine, options.data) == ("memory://", None)


def test_what_nobody_says_has_the_defaults_of_the_command():
    options = options_from({"engine": "memory://"})

    assert (options.http, options.listen) == ("auto", "127.0.0.1:9000")
    assert options.upload_ttl == UPLOAD_TTL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network]\nlisten = 9000", "a wrong value in [network], as listen must be text, not 9000"),
        ("[capacity]\nworkers = true", "a wrong value in [capacity], as workers must be a whole number, not True"),
        ("[capacity]\nworkers = 1.5", "as workers must be a whole number, not 1.5"),
        ("[capacity]\ngrace = '10 s'", "as grace must be a number, not '10 s'"),
        ("[storage]\nauto_create_buckets = 1", "as auto_create_buckets must be true or false, not 1"),
        ("[storage]\ndata = 1", "as data must be a path as text, not 1"),
        ("[network]\nport = 1", "an unknown option 'port' in [network]; known there are listen, http, public_http_url"),
        ("[network]\ndata = 'x'", "an unknown option 'data' in [network]; move it to [storage]"),
        (
            "[net]\nlisten = 'x'",
            "'net' where a section belongs; the sections are storage, network, access, capacity, logging",
        ),
        ("listen = 'x'", "'listen' where a section belongs"),
        ("[network", "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(written, text, said):
    path = written(text)

    with pytest.raises(InvalidParameterError) as caught:
        options_from({"engine": "memory://"}, path)

    assert said in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"log_format": "yaml"}, "log_format must be one of text, json, not 'yaml'"),
        ({"log_level": "loud"}, "log_level must be one of debug, info, warning, error, not 'loud'"),
    ],
)
def test_a_log_of_another_form_or_level_is_refused(given, said):
    with pytest.raises(InvalidParameterError) as caught:
        options_from({"engine": "memory://", **given})

    assert said in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"gone\.toml cannot be read"):
        options_from({}, tmp_path / "gone.toml")


def test_options_reach_another_process_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").touch()
    options = ServerOptions(engine="some/where", keys=Path("keys"), workers=3, grace=1.5, auto_create_buckets=True)

    there = from_plain(json.loads(json.dumps(to_plain(options))))

    assert (there.keys, there.engine) == (tmp_path / "keys", str(tmp_path / "some" / "where"))
    assert (there.workers, there.grace, there.auto_create_buckets, there.data) == (3, 1.5, True, None)


@pytest.mark.slow
def test_a_server_takes_its_options_from_a_file(run, written, connect, tmp_path):
    process = run("-m", "actorc.storage.server", "--config", str(written(WHOLE)), "--listen", "127.0.0.1:0")

    connect(process.address()).put("bucket", "key", b"data")

    assert (tmp_path / "store" / "FORMAT").is_file()


@pytest.mark.parametrize("section", dict.fromkeys(option.section for option in OPTIONS))
def test_the_options_in_the_documents_are_those_of_the_code(section):
    lines = DOCUMENT.read_text().splitlines()
    first = lines.index(f"| `[{section}]` | default | |") + 2
    expected = [f"| `{each.name}` | {shown(each)} | {each.meaning} |" for each in OPTIONS if each.section == section]

    assert expected == lines[first : first + len(expected)]
    assert not lines[first + len(expected)].startswith("|")


def test_the_file_in_the_documents_is_one(written):
    (text,) = re.findall(r"^```toml\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)

    options = options_from({}, written(text))

    assert (options.data, options.workers) == (Path("/srv/store"), 4)


def shown(option):
    if option.default in {None, ""}:
        return ""
    if option.kind is float:
        return f"{option.default:.0f} {option.metavar.lower()}"
    return f"`{str(option.default).lower()}`"
