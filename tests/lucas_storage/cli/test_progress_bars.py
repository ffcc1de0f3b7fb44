"""Progress is for a terminal: a pseudo-terminal shows it, a pipe and a program never get to see it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios

import pytest

pytestmark = pytest.mark.slow

HERE = "lucas://default/my-bucket"
ESCAPE = "\x1b"


class Terminal:
    """What a program writes to a terminal of 100 columns."""

    def __init__(self):
        self._master, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.seen = ""

    def read(self):
        """Return whether there was more to read."""
        try:
            some = os.read(self._master, 1 << 16)
        except OSError:
            return False
        self.seen += some.decode(errors="replace")
        return bool(some)

    def read_until(self, pattern):
        while not re.search(pattern, self.seen):
            assert self.read(), self.seen

    def hand_over(self):
        """Let the program have the only other end, so that its end is the end of what can be read."""
        os.close(self.end)

    def close(self):
        os.close(self._master)


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def start(lucas_storage, client, terminal):
    def start(*arguments, **options):
        command = (*arguments, "--endpoint", client.endpoint)
        process = lucas_storage.start(*command, stderr=terminal.end, env={"TERM": "xterm", "NO_COLOR": "1"}, **options)
        terminal.hand_over()
        return process

    return start


def sparse(path, size):
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_a_transfer_has_a_line(start, terminal, client):
    process = start("cp", "-", f"{HERE}/from-a-pipe")
    process.stdin.write("x" * 2_000_000)
    process.stdin.flush()
    terminal.read_until(r"- .* 0 B of \?")
    process.stdin.close()

    while terminal.read():
        pass
    assert process.wait() == 0
    assert client.head_object("my-bucket", "from-a-pipe")["size"] == 2_000_000


def test_a_narrow_terminal_shows_sizes_and_units_whole(start, terminal, client):
    fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 60, 0, 0))
    process = start("cp", "-", f"{HERE}/from-a-pipe")
    process.stdin.write("x" * (3 << 19))
    process.stdin.flush()
    terminal.read_until(r"- ━+ .*B of \?")
    process.stdin.close()
    while terminal.read():
        pass

    assert process.wait() == 0
    assert max(map(len, re.split(r"[\r\n]+", re.sub(ESCAPE + r"\[[0-9;?]*[A-Za-z]", "", terminal.seen)))) <= 60


def test_a_narrow_terminal_shows_each_name_of_a_long_list_in_one_piece(lucas_storage, terminal, client):
    fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 60, 0, 0))
    client.put_object("my-bucket", "tables/days.csv", b"a,b")
    process = lucas_storage.start("ls", "-lr", "my-bucket", "--endpoint", client.endpoint, stdout=terminal.end)
    terminal.hand_over()
    while terminal.read():
        pass
    columns, name = terminal.seen.splitlines()

    assert process.wait() == 0
    assert columns.split()[::3] == ["3", "text/csv"]
    assert name == f"    {HERE}/tables/days.csv"


@pytest.mark.thorough
def test_running_transfers_have_lines_and_so_has_the_total(start, terminal, tmp_path):
    for name in ("one", "two"):
        sparse(tmp_path / "data" / name, 96 << 20)
    process = start("cp", "-r", "data", HERE)
    while terminal.read():
        pass

    assert process.wait() == 0
    assert re.search(r"total \d of 2 .*MiB", terminal.seen), terminal.seen
    assert re.search(r"data/(one|two) .*MiB", terminal.seen), terminal.seen
    assert re.search(r"2 copied, 192 MiB in .* s\r\n$", terminal.seen), terminal.seen


def test_a_failure_is_a_line_of_its_own_above_the_bars(start, terminal):
    process = start("cp", "missing", "gone", HERE)
    while terminal.read():
        pass

    assert process.wait() == 1
    assert "lucas-storage: missing: No such file or directory\r\n" in terminal.seen


@pytest.mark.thorough
@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_who_does_not_want_bars_gets_none(start, terminal, tmp_path, option):
    sparse(tmp_path / "data" / "one", 1 << 20)
    process = start("cp", "-r", option, "data", HERE)
    while terminal.read():
        pass

    assert process.wait() == 0
    assert terminal.seen == ""


def test_a_bucket_that_is_removed_by_force_is_counted(start, terminal, client):
    for number in range(10):
        client.put_object("my-bucket", str(number), b"")
    process = start("rb", "--force", "my-bucket")
    while terminal.read():
        pass

    assert process.wait() == 0
    assert "my-bucket: objects removed" in terminal.seen
    assert "10/?" in terminal.seen


@pytest.mark.thorough
def test_a_pipe_gets_no_bars(lucas_storage, client, tmp_path):
    sparse(tmp_path / "data" / "one", 96 << 20)
    ran = lucas_storage.run("cp", "-r", "data", HERE, "--endpoint", client.endpoint, env={"TERM": "xterm"})

    assert (ran.returncode, ran.stdout) == (0, "")
    assert ESCAPE not in ran.stderr
    assert re.fullmatch(r"1 copied, 96 MiB in .* s\n", ran.stderr), ran.stderr
