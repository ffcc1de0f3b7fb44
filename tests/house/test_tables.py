"""Tables of the documents say what the code says; a failure shows the lines that the document should have."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import click
import pytest

from actorc.storage import StorageError, config, errors
from actorc.storage.config import ClientOptions
from actorc.storage.settings_file import OF_CLIENT, OF_PLUGIN
from actorc.storage.units import shown_size
from lucas_storage import errors as plugin_errors
from lucas_storage import settings
from lucas_storage.cli.output.exit_codes import EXPLANATION, MEANINGS
from lucas_storage.cli.program import program
from lucas_storage.declared_settings import DECLARED, WAYS
from lucas_storage.errors import ArtifactError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = (ROOT / "actorc", ROOT / "lucas_storage")


def table(document, header):
    """Return the lines of the table with this header."""
    lines = (DOCS / document).read_text().splitlines()
    first = lines.index(header) + 2
    last = next(at for at in range(first, len(lines) + 1) if at == len(lines) or not lines[at].startswith("|"))
    return lines[first:last]


def row(*cells):
    return f"| {' | '.join(cells)} |"


def cells(line):
    return [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]


def commands(group, path=()):
    context = click.Context(group)
    for name in group.commands or group.list_commands(context):  # those it has, in the order of the code
        command = group.get_command(context, name)
        yield " ".join([*path, name]), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


VARIABLE = re.compile(r"(?:LUCAS|STORAGE|LOCAL_STORAGE|IGNIS)_[A-Z_]*[A-Z]")
KIB = 1024
"""Bytes; a smaller number is no size."""
HOUR, DAY = 3600, 24 * 3600


def classes(cls=StorageError, module=errors):
    """Yield the error classes of a module, each before those beneath it, as they are written down."""
    if not cls.__name__.startswith("_"):
        yield cls
    for each in cls.__subclasses__():
        if each.__module__ == module.__name__:
            yield from classes(each, module)


def first_line(cls):
    return cls.__doc__.splitlines()[0].rstrip(".").replace("``", "`")


def codes():
    """Return every code that is written anywhere in the packages, of a class, of one error or of a record."""
    texts = [path.read_text() for package in PACKAGES for path in package.rglob("*.py")]
    trees = [ast.parse(text) for text in texts if re.search(r'\bcode=|"code"', text)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    keywords = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "code"]
    records = [
        pair for node in nodes if isinstance(node, ast.Dict) for pair in zip(node.keys, node.values, strict=True)
    ]
    values = keywords + [value for key, value in records if isinstance(key, ast.Constant) and key.value == "code"]
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)} - {""}


def shown(default):
    match default:
        case None | ():
            return "none"
        case bool():
            return f"`{default:d}`"
        case int():
            return shown_size(default) if default >= KIB and default != config.DEFAULT_PORT else f"{default}"
        case float():
            return f"{default / DAY:g} days" if default > 2 * DAY else f"{default / HOUR:g} hours"
        case Path():
            return "the user's cache directory"
    return f"`{default}`"


class Environment(dict):
    """An empty environment that remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return default


def test_the_page_of_commands_lists_every_command():
    expected = [row(f"`{name}`", command.get_short_help_str(200)) for name, command in commands(program)]

    assert expected == table("cli.md", "| command | |")


def test_the_commands_have_options_that_say_what_they_do():
    silent = [
        (name, option.name)
        for name, command in commands(program)
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]

    assert silent == []


def test_the_commands_for_scripts_print_json():
    without = {
        name
        for name, command in commands(program)
        if not isinstance(command, click.Group) and "as_json" not in [option.name for option in command.params]
    }

    assert without <= {"run", "serve", "completion"}


def test_the_page_of_commands_lists_every_exit_code():
    expected = [row(str(code), meaning) for code, meaning in MEANINGS.items()]

    assert expected == table("cli.md", "| exit code | |")
    assert all(meaning in EXPLANATION for meaning in MEANINGS.values())


def test_the_page_of_errors_lists_every_error():
    expected = [
        row(
            f"`{cls.__name__}`",
            f"`{cls.default_code}`",
            f"`{cls.reason}`",
            f"`{cls.status}`",
            "yes" if cls.default_retryable else "no",
            first_line(cls),
        )
        for cls in classes()
    ]

    assert expected == table("errors.md", "| class | code | reason | gRPC status | retryable | |")


def test_the_page_of_errors_lists_those_of_the_plugin():
    expected = [
        row(
            f"`{cls.__name__}`",
            ", ".join(f"`{base.__name__}`" for base in cls.__bases__),
            f"`{cls.default_code}`",
            "yes" if cls.default_retryable else "no",
            first_line(cls),
        )
        for cls in dict.fromkeys(classes(ArtifactError, plugin_errors))
    ]

    assert sorted(expected) == sorted(table("errors.md", "| class | is a | code | retryable | |"))


def test_every_code_is_explained():
    explained = (DOCS / "errors.md").read_text()

    assert {code for code in codes() if f"`{code}`" not in explained} == set()
    assert {"NotFound", "Settings", "Closed", "Usage"} <= codes()


def settings_table():
    """Yield the names in the file, the variables, and the default of each line of the table of settings."""
    for names, variables, default in map(cells, table("workflows.md", "| setting | variable | default |")):
        yield *([name.strip("` ") for name in each.split(",") if name] for each in (names, variables)), default


def test_the_settings_file_has_those_names():
    assert {name for names, _, _ in settings_table() for name in names} == OF_CLIENT | OF_PLUGIN


@pytest.fixture
def documented():
    """Each variable of the table of settings, with the default it shows."""
    return {name: default for _, names, default in settings_table() for name in names}


def test_the_settings_are_those_that_are_read(documented, monkeypatch):
    environment = Environment()
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", environment)
        ClientOptions.resolve()
    read = environment.asked - {"HOME", "XDG_CONFIG_HOME"} | {way.variable for way in WAYS}

    assert read == documented.keys()


def test_the_settings_have_these_defaults(documented, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    present = settings.resolve()
    defaults = {
        way.variable: shown(each.default() if callable(each.default) else each.default)
        for each in DECLARED.values()
        for way in each.ways
    }

    assert documented["STORAGE_ENDPOINT"] == shown(present.endpoint().value)
    assert defaults == {name: documented[name] for name in defaults}


def test_every_variable_of_ours_that_is_read_is_in_a_document():
    text = "".join(path.read_text() for path in DOCS.glob("*.md") if not path.name.endswith(".zh.md"))
    trees = (ast.parse(path.read_text()) for package in PACKAGES for path in package.rglob("*.py"))
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    ours = {each for each in texts if isinstance(each, str) and VARIABLE.fullmatch(each)}

    assert {"STORAGE_ENDPOINT", "LUCAS_LOG"} <= ours
    assert {each for each in ours if not re.search(rf"\b{each}\b", text)} == set()
