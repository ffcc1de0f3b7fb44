from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from actorc.storage.files import file_locks
from actorc.storage.files.file_locks import (
    EXCLUSIVE,
    SHARED,
    is_same_file,
    locked,
    locked_directory,
    open_within,
    try_lock,
    try_open,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.mark.parametrize(
    ("held", "wanted", "granted"),
    [(EXCLUSIVE, EXCLUSIVE, False), (EXCLUSIVE, SHARED, False), (SHARED, EXCLUSIVE, False), (SHARED, SHARED, True)],
)
def test_an_exclusive_lock_conflicts_with_every_other_also_within_one_process(path, held, wanted, granted):
    first = try_open(path, held)
    second = try_open(path, wanted)

    assert (second is not None) is granted
    for descriptor in filter(None, (first, second)):
        os.close(descriptor)
    assert try_open(path) is not None


def test_a_lock_ends_with_the_process_that_holds_it_also_when_it_is_killed(path):
    code = (
        "import sys; from pathlib import Path; from actorc.storage.files.file_locks import try_open; "
        "try_open(Path(sys.argv[1])); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert try_open(path) is None
        holder.kill()

    assert try_open(path) is not None


def test_waiting_for_a_lock_ends_when_it_is_released_and_otherwise_names_the_file(path):
    held = try_open(path)
    with pytest.raises(TimeoutError, match=str(path)):
        open_within(0, path)

    threading.Timer(0.05, os.close, [held]).start()

    os.close(open_within(30, path))


@pytest.mark.forks
def test_a_forked_child_keeps_a_lock_that_its_parent_lets_go(path):
    descriptor = try_open(path)
    ended, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(ended, 1)
        os._exit(0)
    os.close(descriptor)
    assert try_open(path) is None

    os.close(end)
    os.waitpid(child, 0)

    assert try_open(path) is not None
    os.close(ended)


def test_one_block_at_a_time_has_a_file_or_a_directory(path, tmp_path):
    for place, block in ((path, locked(path)), (tmp_path, locked_directory(tmp_path))):
        with block:
            other = os.open(place, os.O_RDONLY)
            assert not try_lock(other)
        assert try_lock(other)
        os.close(other)


def test_a_directory_that_is_gone_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError), locked_directory(tmp_path / "gone"):
        pass
    assert not (tmp_path / "gone").exists()


def test_a_lock_on_a_file_that_was_replaced_is_noticed(path):
    descriptor = try_open(path)
    assert is_same_file(path, descriptor)

    path.rename(path.with_name("moved"))
    assert not is_same_file(path, descriptor)
    path.touch()
    assert not is_same_file(path, descriptor)


def test_a_link_is_not_followed_to_the_file_of_another(path):
    path.symlink_to(path.with_name("elsewhere"))

    with pytest.raises(OSError, match="symbolic links"):
        file_locks.try_open(path)
    assert not path.with_name("elsewhere").exists()
