"""Changes that are committed together, of which one fails."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.reserve import Reserve
from actorc.storage.server.engines.local.index.changes.group_commit import GroupCommit
from actorc.storage.server.engines.local.index.schema import connect, connect_for_changes


@pytest.fixture
def connection(tmp_path):
    with closing(connect_for_changes(tmp_path / "numbers.db")) as connection:
        connection.execute("CREATE TABLE number (value)")
        yield connection


@pytest.fixture
def commits(connection, tmp_path):
    fsops = FsOps()
    with closing(Reserve(fsops, tmp_path)) as reserve, closing(connect(tmp_path / "numbers.db")) as checkpoints:
        yield GroupCommit(connection, checkpoints, fsops, Health(), reserve, begin=lambda _: None, seal=lambda _: None)


@pytest.fixture
def runs():
    return Counter()


@pytest.fixture
def writing(runs):
    def writing(number):
        def change(connection):
            runs[number] += 1
            connection.execute("INSERT INTO number VALUES (?)", (number,))
            return number

        return change

    return writing


@pytest.fixture
def together(commits):
    """Return a function that runs changes in one transaction, and returns the result or the error of each."""

    def outcome(change):
        try:
            return commits.run(change)
        except StorageError as error:
            return error

    def together(*changes):
        with ThreadPoolExecutor(len(changes)) as pool:

            def queueing(_):
                for number, change in enumerate(changes, 1):
                    ends.append(pool.submit(outcome, change))
                    while len(commits._waiting) < number:
                        os.sched_yield()

            ends = []
            commits.run(queueing)
            return [end.result() for end in ends]

    return together


def numbers(connection):
    return [number for (number,) in connection.execute("SELECT value FROM number ORDER BY value")]


def test_a_change_that_fails_behind_a_write_undoes_that_and_no_other(together, connection, writing, runs):
    def failing(connection):
        writing(2)(connection)
        raise StorageError("refused")

    first, second, third = together(writing(1), failing, writing(3))

    assert (first, third) == (1, 3)
    assert isinstance(second, StorageError)
    assert numbers(connection) == [1, 3]
    assert runs == {1: 2, 2: 2, 3: 1}


def test_a_refusal_before_any_write_costs_the_others_nothing(together, connection, writing, runs):
    def refusing(_):
        raise StorageError("refused")

    together(writing(1), refusing, writing(3))

    assert numbers(connection) == [1, 3]
    assert runs == {1: 1, 3: 1}


def test_a_change_alone_is_undone_as_a_whole(commits, connection, writing):
    def failing(connection):
        writing(2)(connection)
        raise StorageError("refused")

    with pytest.raises(StorageError, match="refused"):
        commits.run(failing)

    assert numbers(connection) == []
    assert commits.run(writing(3)) == 3
    assert numbers(connection) == [3]
