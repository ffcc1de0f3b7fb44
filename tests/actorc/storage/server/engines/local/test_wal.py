"""What the log of the index tells before SQLite opens it: what SQLite will take, and what it would drop or lose."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from actorc.storage.server.engines.local.index.wal.wal_check import FRAME_HEADER_SIZE, HEADER_SIZE, Report, inspect

PAGE = 4096
FRAME = FRAME_HEADER_SIZE + PAGE
SECTOR = 512
ROWS = 6
BEFORE = 2
"""Transactions that make tables; those that follow make a row in each of two. Every one of them takes two frames."""


@pytest.fixture
def live(tmp_path):
    """A connection to a database with all of it in the log."""
    with closing(sqlite3.connect(tmp_path / "live", isolation_level=None)) as connection:
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", "wal_autocheckpoint = 0"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        for table in ("first", "second"):
            connection.execute(f"CREATE TABLE {table} (number)")
        add(connection, range(ROWS))
        yield connection


def add(connection, numbers):
    for number in numbers:
        connection.execute("BEGIN")
        for table in ("first", "second"):
            connection.execute(f"INSERT INTO {table} VALUES (?)", (number,))
        connection.execute("COMMIT")


@pytest.fixture
def log(live, tmp_path):
    """The log of a database beside it, as a kill leaves them."""
    shutil.copy(tmp_path / "live", tmp_path / "killed")
    shutil.copy(tmp_path / "live-wal", tmp_path / "killed-wal")
    return tmp_path / "killed-wal"


def flip(path, position, bit):
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes((byte ^ 1 << bit,)))


def taken(log):
    """Return how many transactions SQLite takes."""
    with closing(sqlite3.connect(log.with_name(log.name.removesuffix("-wal")))) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables + (connection.execute("SELECT count(*) FROM second").fetchone()[0] if tables == BEFORE else 0)


def start(frame):
    return HEADER_SIZE + frame * FRAME


def test_a_whole_log_is_told_to_be_whole(log):
    assert log.stat().st_size == start(2 * (BEFORE + ROWS))
    assert inspect(log, PAGE) == Report(transactions=BEFORE + ROWS)


@pytest.fixture
def damaged(log, tmp_path):
    """Return a copy of the log, and of its database, with one bit flipped."""

    def copy(position, bit):
        shutil.copy(tmp_path / "live", tmp_path / f"copy{position}")
        path = shutil.copy(log, tmp_path / f"copy{position}-wal")
        flip(path, position, bit)
        return path

    return copy


@pytest.mark.few(2)
@pytest.mark.parametrize("offset", [0, 7, 10, 20, FRAME_HEADER_SIZE, FRAME - 1])
def test_damage_is_a_loss_if_a_transaction_stands_behind_it_and_else_drops_the_last_one(damaged, offset):
    for frame in range(2 * (BEFORE + ROWS)):
        log = damaged(start(frame) + offset, 3)

        report = inspect(log, PAGE)

        is_last = frame >= 2 * (BEFORE + ROWS - 1)
        assert (bool(report.lost), report.damaged) == (not is_last, True)
        assert report.dropped
        assert taken(log) == report.transactions == frame // 2


@pytest.mark.parametrize(("pages", "end", "is_lost"), [(2, 1, True), (2, 3, True), (8, 14, False)])
def test_the_end_of_a_transaction_is_known_also_if_the_bit_that_says_so_is_flipped(log, pages, end, is_lost):
    flip(log, start(end) + 7, pages.bit_length() - 1)

    assert bool(inspect(log, PAGE).lost) == is_lost


def test_a_damaged_header_is_a_loss(damaged):
    for position in range(HEADER_SIZE):
        log = damaged(position, random.Random(position).randrange(8))

        report = inspect(log, PAGE)

        assert "header" in report.lost
        assert taken(log) == report.transactions == 0


@pytest.mark.parametrize("size", [0, 10, HEADER_SIZE])
def test_a_log_without_a_frame_holds_nothing(log, size):
    os.truncate(log, size)

    assert inspect(log, PAGE) == Report(damaged=size == 10)
    assert taken(log) == 0


@pytest.mark.parametrize("frames", [1, 4, 5])
@pytest.mark.parametrize("more", [0, 1, FRAME_HEADER_SIZE, FRAME - 1])
def test_a_transaction_that_was_cut_off_is_dropped(log, frames, more):
    os.truncate(log, start(frames) + more)

    report = inspect(log, PAGE)

    assert (report.transactions, report.dropped, report.lost) == (frames // 2, frames % 2, "")
    assert report.damaged == bool(more)
    assert taken(log) == report.transactions


def test_what_is_left_of_a_log_that_began_anew_is_no_damage(live, tmp_path):
    live.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    add(live, range(2))
    shutil.copy(tmp_path / "live", tmp_path / "killed")
    log = shutil.copy(tmp_path / "live-wal", tmp_path / "killed-wal")

    assert log.stat().st_size == start(2 * (BEFORE + ROWS))
    assert inspect(log, PAGE) == Report(transactions=2)
    assert taken(log) == BEFORE + ROWS + 2


@pytest.mark.parametrize(("frame", "is_lost"), [(0, True), (1, True), (2, False), (3, False), (4, None), (9, None)])
def test_damage_in_a_log_that_began_anew_counts_up_to_where_it_was_written(live, tmp_path, frame, is_lost):
    live.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    add(live, range(2))
    log = shutil.copy(tmp_path / "live-wal", tmp_path / "killed-wal")
    flip(log, start(frame) + FRAME_HEADER_SIZE, 0)

    report = inspect(log, PAGE)

    assert (bool(report.lost), report.damaged) == (bool(is_lost), is_lost is not None)


def test_pages_of_the_last_transaction_that_never_came_to_the_disk_are_a_power_cut(log):
    data = bytearray(log.read_bytes())
    first_of_last = start(2 * (BEFORE + ROWS - 1))
    data[first_of_last : first_of_last + FRAME] = bytes(FRAME)
    log.write_bytes(data)

    assert inspect(log, PAGE) == Report(transactions=BEFORE + ROWS - 1, dropped=1, damaged=True)
    assert taken(log) == BEFORE + ROWS - 1


@pytest.mark.parametrize("size", [1, 10, HEADER_SIZE, HEADER_SIZE + FRAME, 3 * FRAME])
def test_zeros_are_a_log_that_was_never_used(log, size):
    log.write_bytes(bytes(size))

    assert inspect(log, PAGE) == Report()
    assert taken(log) == 0


@pytest.mark.few(4)
@pytest.mark.parametrize("frames", range(2 * (BEFORE + ROWS) + 1))
def test_zeros_behind_what_was_written_are_room_and_no_damage(log, frames):
    written = log.read_bytes()[: start(frames)]
    log.write_bytes(written + bytes(5 * FRAME))

    assert inspect(log, PAGE) == Report(transactions=frames // 2, dropped=frames % 2)
    assert taken(log) == frames // 2


@pytest.mark.few(4)
@pytest.mark.parametrize("frame", range(2 * (BEFORE + ROWS - 2)))
def test_zeros_with_two_transactions_behind_them_are_a_loss(log, frame):
    data = bytearray(log.read_bytes() + bytes(5 * FRAME))
    data[start(frame) : start(frame + 1)] = bytes(FRAME)
    log.write_bytes(data)

    assert inspect(log, PAGE).lost
    assert taken(log) == frame // 2


def test_a_header_of_zeros_before_transactions_is_a_loss(log):
    log.write_bytes(bytes(HEADER_SIZE) + log.read_bytes()[HEADER_SIZE:] + bytes(5 * FRAME))

    assert "header" in inspect(log, PAGE).lost
    assert taken(log) == 0


@pytest.mark.parametrize("behind", ["zeros", "older frames"])
@pytest.mark.parametrize("seed", range(12))
def test_a_power_cut_within_a_transaction_in_room_that_is_overwritten_drops_that_one_alone(
    live, tmp_path, behind, seed
):
    if behind == "older frames":
        live.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        add(live, range(2))
    with (tmp_path / "live-wal").open("ab") as file:
        file.write(bytes(4 * FRAME))
    before = (tmp_path / "live-wal").read_bytes()
    found = inspect(tmp_path / "live-wal", PAGE).transactions
    add(live, [99])
    after = (tmp_path / "live-wal").read_bytes()
    chance = random.Random(seed)
    sectors = [at for at in range(0, len(after), SECTOR) if before[at : at + SECTOR] != after[at : at + SECTOR]]
    left = bytearray(before)
    for at in sectors:
        if chance.random() < 0.7:
            left[at : at + SECTOR] = after[at : at + SECTOR]
    log = tmp_path / "killed-wal"
    log.write_bytes(left)

    report = inspect(log, PAGE)

    assert len(before) == len(after)
    assert report.lost == ""
    assert report.transactions == found + (left == after)
