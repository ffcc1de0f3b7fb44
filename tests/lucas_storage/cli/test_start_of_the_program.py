"""What the program imports before it does anything: the time of a short command is mostly that of its imports."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

import actorc.storage
import lucas_storage
from lucas_storage.cli.program import OWN_COMMANDS, program

HEAVY = {"aiohttp", "asyncio", "cloudpickle", "google.protobuf", "grpc", "numpy", "pandas", "pyarrow", "rich", "ssl"}
CODE = """
import sys
from lucas_storage.cli.main import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def loaded(*arguments, cwd=None):
    """Return the modules in the process of a command, without those that Python itself imports."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True, timeout=60, cwd=cwd
    )
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_what_the_help_says_of_a_command_is_what_the_command_says_of_itself(name):
    command = program.get_command(click.Context(program), name)

    assert click.Command(name, help=OWN_COMMANDS[name].summary).get_short_help_str(1000) == command.get_short_help_str(
        1000
    )
    assert command.name == name


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_no_help_has_marks_for_the_program_that_prints_it(name):
    shown = CliRunner().invoke(program, [name, "--help"], prog_name="lucas-storage").output

    assert shown.startswith(f"Usage: lucas-storage {name}")
    assert "\\b" not in shown
    assert "\b" not in shown


def test_the_help_imports_no_command_and_nothing_slow():
    found = loaded("--help")

    assert found & HEAVY == set()
    assert [name for name in found if name.startswith("lucas_storage.cli.commands")] == []
    assert found & {"actorc.storage.client", "actorc.storage.errors", "lucas_storage.settings"} == set()
    assert found & {"importlib.metadata", "email", "json", "logging", "pickle", "socket"} == set()


@pytest.mark.parametrize("arguments", [["--version"], ["ls", "--help"], ["cp", "--help"], ["run", "--help"]])
def test_the_help_of_a_command_imports_that_command_and_nothing_slow(arguments):
    found = loaded(*arguments)

    assert found & HEAVY == set()
    assert arguments[0] == "run" or found & {"actorc.storage.client", "lucas_storage.settings"} == set()
    assert sum(name.startswith("lucas_storage.cli.commands.") for name in found) <= 3


def test_all_ways_to_ask_for_the_version_agree():
    asked = subprocess.run(
        [sys.executable, "-m", "lucas_storage", "--version"], capture_output=True, text=True, check=True, timeout=60
    )

    assert asked.stdout == f"lucas-storage {version('lucas-storage')}\n"
    assert lucas_storage.__version__ == actorc.storage.__version__ == version("lucas-storage")


def test_a_listing_imports_nothing_that_only_other_commands_need(served):
    found = loaded("ls", cwd=served)

    assert found & (HEAVY - {"google.protobuf"}) == set()  # no gRPC: the server is on this machine
    assert found & {"importlib.metadata", "lucas_storage.cli.globbing", "mimetypes"} == set()
    assert found & {"lucas_storage.formats", "lucas_storage.storage"} == set()
    assert found & {"ctypes", "secrets", "shutil", "actorc.storage._wire.url_signing"} == set()


def test_a_command_searches_its_own_modules_for_no_garbage_and_a_script_is_searched_as_by_python(served, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import gc; print(gc.get_threshold())")
    counted = f"{CODE}    import gc; print(sum(each['collections'] for each in gc.get_stats()), file=sys.stderr)\n"
    listing = subprocess.run(
        [sys.executable, "-c", counted, "ls"], capture_output=True, text=True, check=True, timeout=60, cwd=served
    )
    scripts = [
        subprocess.run([sys.executable, *way, script], capture_output=True, text=True, check=True, cwd=served)
        for way in ([], ["-m", "lucas_storage", "run"])
    ]

    assert int(listing.stderr.splitlines()[-1]) <= int(_collections_of("import lucas_storage.cli.main"))
    assert scripts[0].stdout == scripts[1].stdout


def _collections_of(code):
    code += "; import gc; print(sum(each['collections'] for each in gc.get_stats()))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_settings_and_the_client_of_a_command_import_nothing_of_artifacts():
    code = "import sys, lucas_storage.cli.session, actorc.storage.client; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout

    assert set(found.split()) & {"lucas_storage.refs", "lucas_storage.formats", "pickle"} == set()


@pytest.mark.parametrize(("call", "said"), [("make_rare", ""), ("make_usual", "looked through\n")])
def test_a_command_is_not_looked_through_for_garbage_as_it_ends_but_the_script_of_a_user_is(call, said):
    code = f"""
from lucas_storage.cli import garbage_collection
garbage_collection.make_rare()
garbage_collection.{call}()
class Circle:
    def __del__(self):
        print("looked through")
circle = Circle()
circle.own = circle
del circle
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout == said
