"""Commands are found by entry points, and imported when they are run."""

from __future__ import annotations

import os
import sys
import zipfile

import pytest

POINTS = """
[lucas_storage.commands]
hello = acme_commands:hello
gone = acme_not_there:gone
leaves = acme_leaves:command
text = acme_commands:NAME
ls = acme_commands:hello

[lucas_storage.before_scripts]
acme = acme_commands:prepare
gone = acme_not_there:prepare
"""
CODE = """
import os
import click

NAME = "acme"

@click.command()
@click.option("--loud", is_flag=True, help="Say it loudly.")
def hello(loud):
    \"\"\"Say hello.\"\"\"
    click.echo("HELLO" if loud else "hello")

def prepare(is_embedded):
    os.environ["ACME"] = f"embedded: {is_embedded}"
"""
IMPORTED = """
import sys
import zipfile
from lucas_storage.cli.main import main
for arguments in (["--version"], ["hello"], ["config", "--help"]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit:
        print(sorted(name for name in sys.modules if name.startswith(("lucas_storage.cli.commands.", "actorc.cont"))))
"""


@pytest.fixture
def acme(lucas_storage):
    """The program, beside an installed package that brings commands, some of which are broken."""
    site = lucas_storage.folder / "site"
    (site / "acme-1.dist-info").mkdir(parents=True)
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(POINTS)
    (site / "acme_commands.py").write_text(CODE)
    (site / "acme_leaves.py").write_text("raise SystemExit('on purpose')\n")
    return site


@pytest.fixture
def process(acme, beside_server):
    """Run the program beside that package in a process of its own."""
    here = {"PYTHONPATH": os.pathsep.join([str(acme), *filter(None, [os.environ.get("PYTHONPATH")])])}
    return lambda *arguments, **options: beside_server.run(*arguments, env=here, **options)


@pytest.fixture
def beside(acme, invoke, monkeypatch):
    """Run the program beside that package in this process."""
    monkeypatch.syspath_prepend(acme)
    yield invoke
    sys.modules.pop("acme_commands", None)


def test_a_command_of_another_package_is_listed_and_run(beside):
    listed = beside("--help")

    assert listed.exit_code == 0
    assert "Say hello." in listed.stdout
    assert beside("hello", "--loud").stdout == "HELLO\n"


def test_a_command_in_an_archive_is_found_too(acme, invoke, monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "acme.zip", "w") as archive:
        for path in (path for path in acme.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(acme))
    monkeypatch.syspath_prepend(tmp_path / "acme.zip")
    try:
        assert invoke("hello").stdout == "hello\n"
    finally:
        sys.modules.pop("acme_commands", None)


def test_the_controller_is_such_a_command(beside):
    assert "Run an ignis controller" in beside("--help").stdout
    assert "--app-id-file" in beside("controller", "--help").stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "ModuleNotFoundError (No module named 'acme_not_there')"),
        ("leaves", "SystemExit (on purpose)"),
        ("text", "TypeError (acme_commands:NAME is no click.Command)"),
    ],
)
def test_a_broken_command_says_so_in_a_line(beside, name, reason):
    ran = beside(name, "--whatever", "it", "--takes")

    assert ran.exit_code == 1
    assert ran.stderr == (
        f"Error: the command {name!r} of acme cannot be loaded, {reason}; install acme anew, or remove it\n"
    )


def test_broken_commands_leave_the_others_alone(beside):
    listed = beside("--help")

    assert listed.exit_code == 0
    assert "the command 'gone' of acme cannot be loaded" in " ".join(listed.stdout.split())
    assert {"ls", "doctor", "controller", "hello"} <= {line.split()[0] for line in listed.stdout.splitlines() if line}


def test_a_command_of_this_package_keeps_its_name(beside):
    assert "List buckets" in beside("ls", "--help").stdout


def test_what_runs_before_scripts_knows_the_engine_and_a_broken_one_is_left_out(process, beside_server):
    beside_server.script("import os; print(os.environ['ACME'])")
    ran = process("run", "script.py")

    assert ran.stdout.startswith("embedded: ")
    assert "the part of run 'gone' of acme cannot be loaded" in ran.stderr


def test_no_command_but_the_one_that_is_run_is_imported(process):
    ran = process(program=(sys.executable, "-c", IMPORTED))
    imported = [line for line in ran.stdout.splitlines() if line.startswith("[")]

    assert imported == ["[]", "[]", "['lucas_storage.cli.commands.config']"], ran.stderr
