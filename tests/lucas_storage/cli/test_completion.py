from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from lucas_storage.cli.completion.shells import SHELLS

HERE = "lucas://default/my-bucket"


@pytest.fixture
def shelf(client):
    for key in ("a.txt", "b/one", "b/two", "odd key?"):
        client.put_object("my-bucket", key, b"")
    client.create_bucket("other")
    return client


@pytest.fixture
def completed(invoke):
    """Return what a shell is answered for a line, without the kind and the help of candidates."""

    def complete(line, **env):
        asked = {"_LUCAS_STORAGE_COMPLETE": "bash_complete", "_LUCAS_STORAGE_LINE": f"lucas-storage {line}"}
        result = invoke(env={**asked, **env})
        assert (result.exit_code, result.stderr) == (0, "")
        return [each.partition("\t")[0].removeprefix("plain,") for each in result.stdout.splitlines() if each]

    return complete


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("tr", ["tree"]),
        ("keys d", ["disable"]),
        ("ls --re", ["--recursive"]),
        ("ls my", ["my-bucket/"]),
        ("ls ", ["my-bucket/", "other/"]),
        ("cat my-bucket/", ["my-bucket/a.txt", "my-bucket/b/", "my-bucket/odd key?"]),
        ("cat my-bucket/b/", ["my-bucket/b/one", "my-bucket/b/two"]),
        ("cat 'my-bucket/od", ["my-bucket/odd key?"]),
        ("cat my-bucket/odd\\ ", ["my-bucket/odd key?"]),
        ("rm my-bucket/a.txt my-bucket/b/t", ["my-bucket/b/two"]),
        ("ls no-such-bucket/", []),
        ("rb o", ["other"]),
        ("ls lucas://", ["lucas://default/"]),
        ("cp lucas", ["lucas://default/", "file,lucas"]),
        ("cp lucas://default/my", [f"{HERE}/"]),
        (f"sync . {HERE}/b", [f"{HERE}/b/"]),
        (f"mv {HERE}/o", [f"{HERE}/odd%20key%3F"]),
        (f"mv {HERE}/odd%20", [f"{HERE}/odd%20key%3F"]),
        (f"mv {HERE}/odd%2", [f"{HERE}/odd%20key%3F"]),
        ("cp ./f", ["file,./f"]),
        ("cp --jobs ", []),
    ],
)
def test_what_continues_a_line(completed, shelf, line, candidates):
    assert completed(line) == candidates


def test_runs_and_published_names(completed, client):
    client.create_bucket("artifacts")
    names = ("runs/01JZZZZZZZZZZZZZZZZZZZZZZZ/run.json", "names/table/versions/1.json", "names/t\nplain,x/versions/1")
    for key in names:
        client.put_object("artifacts", key, b"{}")
    here = {"LUCAS_STORAGE_BUCKET": "artifacts"}

    assert completed("runs ", **here) == ["last", "diff", "01JZZZZZZZZZZZZZZZZZZZZZZZ"]
    assert completed("runs diff ", **here) == ["last", "01JZZZZZZZZZZZZZZZZZZZZZZZ"]
    assert completed("runs diff last 01j", **here) == ["01JZZZZZZZZZZZZZZZZZZZZZZZ"]
    assert completed("runs 01j", **here) == ["01JZZZZZZZZZZZZZZZZZZZZZZZ"]
    assert completed("show t", **here) == ["table"]


def test_steps_of_the_run_that_is_named(completed, client):
    client.create_bucket("artifacts")
    steps = [{"function": name, "started": at} for at, name in enumerate(("load", "part", "part"))]
    record = {"run": 1, "workflow": "study", "status": "succeeded", "steps": steps}
    client.put_object("artifacts", "runs/01JZZZZZZZZZZZZZZZZZZZZZZZ/run.json", json.dumps(record).encode())
    here = {"LUCAS_STORAGE_BUCKET": "artifacts"}

    assert completed("replay last ", **here) == ["load", "part#1", "part#2"]
    assert completed("replay 01j p", **here) == ["part#1", "part#2"]
    assert completed("replay 02 ", **here) == []


def test_a_server_that_does_not_answer_is_left_alone(completed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert completed("ls ", STORAGE_ENDPOINT=f"127.0.0.1:{silent.getsockname()[1]}") == []


def test_without_a_server_there_are_no_names_and_none_is_started(completed, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    free = {"STORAGE_ENDPOINT": "127.0.0.1:1"}

    assert completed("ls ", **free) == []
    assert completed("ls --data data ", **free) == []
    assert completed("ls --data missing ", **free) == []
    assert list((tmp_path / "data").iterdir()) == []


def test_completion_beside_a_server_of_this_machine_loads_no_grpc(served):
    code = """
import sys
from lucas_storage.cli.main import main
try:
    main()
finally:
    print(*{"grpc", "asyncio", "rich", "lucas_storage.formats"} & set(sys.modules), file=sys.stderr)
"""
    asked = {"_LUCAS_STORAGE_COMPLETE": "zsh_complete", "_LUCAS_STORAGE_LINE": "lucas-storage ls "}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=served,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stderr.strip() == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_for_each_shell(invoke, shell):
    printed = invoke("completion", shell).stdout

    assert f"_LUCAS_STORAGE_COMPLETE={shell}_complete" in printed
    assert "%%" not in printed.replace("%%,*", "").replace("%%$", "")


LOAD = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(lucas-storage completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'eval "$(lucas-storage completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "lucas-storage completion fish | source"),
}


class Shell:
    """An interactive shell on a terminal of its own, in which the script of completion is loaded."""

    def __init__(self, name, folder, environment):
        command, load = LOAD[name]
        # In a process between: this one has threads, and must not fork.
        between = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        here = {**os.environ, **environment, "HOME": str(folder)}
        self._process = subprocess.Popen(between, cwd=folder, env=here, bufsize=0, **pipes)
        self._seen = b""
        self._type(f'stty cols 200 rows 50; {load}; echo REA""DY\n'.encode())
        self._until(rb"READY")

    def complete(self, line):
        """Type a line and the tab key, and return the words that the shell then has."""
        self._seen = b""
        # Control-A and -E go to the ends of the line: it becomes the arguments of printf.
        self._type(line.encode() + b"\t\x01printf '[%s]' DO''NE: \x05 EN''D\n")
        found = self._until(rb"\[DONE:\](.*?)\[END\]")
        return re.findall(r"\[([^\]]*)\]", found[1].decode())

    def _type(self, keys):
        self._process.stdin.write(keys)

    def _until(self, pattern):
        while (found := re.search(pattern, self._seen)) is None:
            ready, _, _ = select.select([self._process.stdout], [], [], 60)
            assert ready, self._seen
            self._seen += os.read(self._process.stdout.fileno(), 1 << 16)
        return found

    def close(self):
        with self._process:
            self._process.kill()


@pytest.fixture
def started(client, tmp_path):
    """Start a shell, and end it after the test."""
    with ExitStack() as stack:

        def start(name):
            if shutil.which(name) is None:
                pytest.skip(f"{name} is not installed")
            here = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "STORAGE_ENDPOINT": client.endpoint,
                "TERM": "xterm" if name == "fish" else "dumb",
                "LC_ALL": "C.UTF-8",
            }
            shell = Shell(name, tmp_path, here)
            stack.callback(shell.close)
            return shell

        yield start


@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
def test_real_shells_complete(name, started, shelf, tmp_path):
    (tmp_path / "some file").touch()
    shell = started(name)

    assert shell.complete("lucas-storage tre") == ["lucas-storage", "tree"]
    assert shell.complete("lucas-storage cat my") == ["lucas-storage", "cat", "my-bucket/"]
    assert shell.complete("lucas-storage cat my-bucket/od") == ["lucas-storage", "cat", "my-bucket/odd key?"]
    assert shell.complete("lucas-storage cp luca") == ["lucas-storage", "cp", "lucas://default/"]
    assert shell.complete(f"lucas-storage cp {HERE}/o")[-1] == f"{HERE}/odd%20key%3F"
    assert shell.complete("lucas-storage cp som") == ["lucas-storage", "cp", "some file"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
def test_real_shells_run_nothing_of_a_key(name, started, client, tmp_path):
    keys = ["$(touch run)", "`touch run`", ";touch run", "'$(touch run)'", '"$(touch run)"', "\\$(touch run)"]
    for number, key in enumerate(keys):
        client.put_object("my-bucket", f"{number}{key}", b"")
    shell = started(name)
    before = set(tmp_path.iterdir())

    for number, key in enumerate(keys):
        assert shell.complete(f"lucas-storage cat my-bucket/{number}")[-1] == f"my-bucket/{number}{key}"
    shell.complete('lucas-storage cat "my-bucket/0')
    shell.complete('lucas-storage cat "my-bucket/1')
    assert set(tmp_path.iterdir()) == before
