"""Ctrl-C ends a command with 130 at any moment, and prints no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HERE = "lucas://default/my-bucket"
PROGRAM = ("-c", "from lucas_storage.cli.main import main; main()")


@pytest.fixture
def start(client, tmp_path, monkeypatch):
    """Start a command in a process of its own; those that still run at the end are killed."""
    started = []
    monkeypatch.setenv("STORAGE_ENDPOINT", client.endpoint)

    def run(*arguments, options=()):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, *options, *PROGRAM, *arguments], cwd=tmp_path, text=True, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        with process:
            process.kill()


def interrupted(process):
    """Interrupt a process, and return its exit code and what else it wrote to standard error."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "typing",
        "click.core",
        "lucas_storage.cli.program",
        "actorc.storage.models",
        "actorc.storage.client",
        "lucas_storage.cli.uris",
    ],
)
def test_an_interrupt_while_a_command_loads_ends_it_without_a_traceback(start, module):
    process = start("ls", options=("-X", "importtime"))
    while (line := process.stderr.readline()).rpartition("|")[2].strip() != module:
        assert line
    code, errors = interrupted(process)

    assert code == 130
    assert [line for line in errors.splitlines() if not line.startswith("import time:")] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["cp", "mv"])
def test_an_interrupt_at_a_question_ends_it_and_changes_nothing(start, client, tmp_path, command):
    (tmp_path / "file").write_text("new")
    client.put_object("my-bucket", "file", b"old")
    process = start(command, "-i", "file", f"{HERE}/file")
    seen = ""
    while not seen.endswith("[y/N] "):
        seen += process.stderr.read(1)

    assert interrupted(process) == (130, "")
    assert client.get_object("my-bucket", "file") == b"old"
    assert (tmp_path / "file").exists()


@pytest.mark.slow
def test_an_interrupt_while_it_prints_ends_it_without_a_traceback(start, client):
    for number in range(300):
        client.put_object("my-bucket", f"{number:04}{'x' * 900}", b"")
    process = start("ls", "-r", "my-bucket")
    process.stdout.read(1)  # it waits then for somebody who reads the rest, which is more than a pipe holds
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130
    assert process.stderr.read() == ""


@pytest.mark.slow
def test_what_was_ignored_before_stays_ignored():
    """As for `program &` in a script, which Ctrl-C at the terminal is not meant for."""
    code = """
import atexit, signal, sys
from lucas_storage.cli.main import main
atexit.register(lambda: print(signal.getsignal(signal.SIGINT).name))
sys.argv = ["lucas-storage", "--version"]
main()
"""
    ran = subprocess.run(
        ["bash", "-c", 'trap "" INT; exec "$@"', "bash", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.splitlines()[-1] == "SIG_IGN"
