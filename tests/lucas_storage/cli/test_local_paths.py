"""Local paths on the command line: missing ones, such as may not be read, and the wrong kinds of files."""

from __future__ import annotations

import json
import os

import pytest

COMMANDS = {
    "backup": ("backup", "PATH", "target"),
    "restore": ("restore", "PATH", "new"),
    "restore --list": ("restore", "PATH", "--list"),
    "fsck": ("fsck", "PATH"),
    "fsck --rebuild": ("fsck", "--rebuild", "PATH"),
    "ls": ("ls", "--data", "PATH"),
    "keys list": ("keys", "list", "--data", "PATH"),
    "import": ("import", "PATH", "--endpoint", "127.0.0.1:1"),
}
KINDS = {"missing": 3, "dangling": 3, "pipe": 2, "file": 2, "/dev/null": 2, "closed": 4}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with one file of each kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.few(12)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "closed"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_local_path_is_judged_by_the_same_rule_in_every_command(here, invoke, command, kind):
    if command == "import" and kind == "file":
        pytest.skip("a file is the right kind there")
    result = invoke(*(kind if each == "PATH" else each for each in COMMANDS[command]))

    assert result.exit_code == KINDS[kind], result.stderr
    assert "defect" not in result.stderr
    assert not (here / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "import"])
def test_a_directory_that_may_not_be_read_is_a_matter_of_permission(here, invoke, command):
    (here / "closed").mkdir(mode=0)

    assert invoke(*("closed" if each == "PATH" else each for each in COMMANDS[command])).exit_code == KINDS["closed"]


@pytest.mark.parametrize("command", [("keys", "list"), ("keys", "add", "--admin"), ("serve",)])
@pytest.mark.parametrize("kind", ["pipe", "/dev/null"])
def test_a_file_of_keys_that_is_no_file_is_refused_at_once(here, invoke, command, kind):
    result = invoke(*command, "--keys", kind)

    assert result.exit_code == 2
    assert kind in result.stderr


def test_a_directory_below_a_file_cannot_be_made_and_is_no_file_that_exists_already(here, invoke):
    result = invoke("mb", "my-bucket", "--data", "file/below", "--json")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == f"{here}/file: Not a directory"
