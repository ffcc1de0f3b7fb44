"""`replay`: from the shell, with a debugger, and as a test."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
    import sys

    import numpy as np
    from lucas import function, workflow

    import lucas_storage
    from lucas_storage import with_storage


    class Total:
        def __init__(self, value):
            self.value = value


    @function
    @with_storage
    def load(n):
        return np.arange(n)


    @function
    @with_storage
    def scale(x: np.ndarray):
        return x * 2


    @function
    @with_storage
    def total(x: np.ndarray):
        return Total(int(x.sum()))


    @function
    @with_storage
    def share(total, part):
        whole = total.value
        return whole / part


    @workflow
    def study(wf):
        t = wf.call("total", {"x": wf.call("scale", {"x": wf.call("load", {"n": 50_000})})})
        return wf.call("share", {"total": t, "part": wf.input()["part"]})


    if __name__ == "__main__":
        lucas_storage.run(study, {"part": int(sys.argv[1])})
"""


@pytest.fixture
def study(lucas_storage, served):
    """Runs the script, and further commands against the same server."""
    lucas_storage.script(SCRIPT, "study.py")
    data = ("--data", served / ".lucas-storage")

    def run(part):
        return lucas_storage.run("run", *data, "study.py", part)

    def replay(*arguments):
        return lucas_storage.run("replay", *data, *arguments)

    run.replay, run.data = replay, data
    return run


def test_a_step_is_replayed_as_it_was_after_its_script_changed(study, lucas_storage):
    assert study(5).returncode == 0
    as_it_was = study.replay("last", "scale")
    today = study.replay("last", "scale", "--today")
    (lucas_storage.folder / "study.py").write_text("import nothing_like_this")
    after_a_change = study.replay("last", "scale", "--json")

    assert (as_it_was.stdout, as_it_was.returncode) == ("scale: identical\n", 0), as_it_was.stderr
    assert (today.stdout, today.returncode) == ("scale: identical\n", 0), today.stderr
    assert json.loads(after_a_change.stdout)["verdict"] == "identical"


def test_a_replay_leaves_no_run_and_no_object(study, lucas_storage):
    study(5)
    before = lucas_storage.run("find", *study.data, "lucas-artifacts/").stdout
    replayed = [study.replay("last", step) for step in ("load", "scale", "total", "share")]

    assert [done.stdout.split(":")[0] for done in replayed] == ["load", "scale", "total", "share"]
    assert lucas_storage.run("find", *study.data, "lucas-artifacts/").stdout == before


def test_a_step_that_failed_fails_again_in_its_own_line(study):
    assert study(0).returncode == 1
    done = study.replay("last")

    assert done.returncode == 1
    assert done.stdout == "share: failed with ZeroDivisionError; it failed with ZeroDivisionError in the run, too\n"
    assert "return whole / part" in done.stderr
    assert "lucas_storage" not in done.stderr


def test_another_value_shows_whether_it_was_that(study):
    study(0)

    assert study.replay("last", "--given", "part=5").stdout.startswith("share: succeeded, and failed with")
    assert "--given takes NAME=JSON" in study.replay("last", "--given", "part=five").stderr


def test_a_debugger_needs_a_terminal(study):
    study(0)
    done = study.replay("last", "--pdb")

    assert done.returncode == 2
    assert "--pdb needs a terminal" in done.stderr


class Terminal:
    """A program on a terminal."""

    def __init__(self, command, folder):
        self._fd, end = pty.openpty()
        self.process = subprocess.Popen(command, cwd=folder, stdin=end, stdout=end, stderr=end, start_new_session=True)
        os.close(end)

    def until(self, text):
        """Return what is shown up to a text."""
        shown = ""
        while text not in shown:
            assert select.select([self._fd], [], [], 60)[0], shown
            shown += os.read(self._fd, 4096).decode()
        return shown

    def type(self, line):
        os.write(self._fd, f"{line}\n".encode())

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


@pytest.fixture
def terminal(lucas_storage):
    opened = []

    def start(*arguments):
        command = [sys.executable, "-m", "lucas_storage.cli", *map(str, arguments)]
        opened.append(Terminal(command, lucas_storage.folder))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_the_debugger_stops_in_a_failed_step_with_its_inputs(study, terminal):
    study(0)
    debugger = terminal("replay", *study.data, "last", "--pdb")

    assert "-> return whole / part" in debugger.until("(Pdb) ")
    debugger.type("p total.value, part, whole")
    assert "(2499950000, 0, 2499950000)" in debugger.until("(Pdb) ")
    debugger.type("q")
    assert "it failed with ZeroDivisionError in the run, too" in debugger.until("too")
    assert debugger.process.wait(60) == 1


def test_a_test_is_written_that_replays_the_step_anywhere(study, lucas_storage):
    study(5)
    done = study.replay("last", "scale", "--pytest", "test_scale.py")
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_scale.py"]
    passed = subprocess.run(command, cwd=lucas_storage.folder, capture_output=True, text=True, check=False)
    script = (lucas_storage.folder / "study.py").read_text()
    (lucas_storage.folder / "study.py").write_text(script.replace("x * 2", "x * 3"))
    failed = subprocess.run(command, cwd=lucas_storage.folder, capture_output=True, text=True, check=False)

    assert passed.returncode == 0, passed.stdout
    assert "1 passed" in passed.stdout
    assert failed.returncode == 1
    assert "scale: different" in failed.stdout
    assert sorted(path.name for path in lucas_storage.folder.glob("test_*")) == ["test_scale.py", "test_scale.zip"]


def test_a_test_of_a_step_that_takes_an_object_needs_no_key(study, lucas_storage):
    study(5)
    done = study.replay("last", "share", "--pytest", "test_share.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_share.py"]
    passed = subprocess.run(command, cwd=lucas_storage.folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert passed.returncode == 0, passed.stdout


def test_no_test_is_written_that_nobody_could_run(study, lucas_storage):
    study(0)
    failed = study.replay("last", "share", "--pytest", "test_share.py")

    assert "there is no result to compare with" in failed.stderr
    assert list(lucas_storage.folder.glob("test_*")) == []
