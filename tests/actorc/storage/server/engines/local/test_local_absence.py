"""An object that damage to the tree of the index hides is not told to be missing."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from contextlib import closing, suppress

import pytest

from actorc.storage.errors import AlreadyExistsError, BucketNotFoundError, IntegrityError, ObjectNotFoundError
from actorc.storage.models import ANY, Condition, ListQuery
from actorc.storage.server.engines.local import LocalEngine

PAGE = 4096
INTERIOR = 2
KEYS = [f"runs/{number:04}/result" for number in range(600)]


@pytest.fixture(scope="module")
def closed(tmp_path_factory, put):
    directory = tmp_path_factory.mktemp("closed") / "data"
    with closing(LocalEngine(directory, sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
        for key in random.Random(1).sample(KEYS, len(KEYS)):
            put(engine, key, b"data")
    return directory


@pytest.fixture
def opened(closed, tmp_path, open_local):
    """Open a copy of the directory whose index is damaged as soon as it is open, before any of it is read."""
    number = 0

    def open_it(damage):
        nonlocal number
        number += 1
        shutil.copytree(closed, tmp_path / f"data{number}")
        engine = open_local(f"data{number}")
        path = tmp_path / f"data{number}" / "meta" / "meta.db"
        path.write_bytes(damage(bytearray(path.read_bytes())))
        return engine

    return open_it


def root_of(directory, table):
    with closing(sqlite3.connect(f"file:{directory}/meta/meta.db?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]


def keys_on(data, page):
    """Return the keys in the rows of an interior page, each with its position in the file."""
    start = (page - 1) * PAGE
    assert data[start] == INTERIOR
    (cells,) = struct.unpack_from(">H", data, start + 3)
    found = []
    for (at,) in struct.iter_unpack(">H", data[start + 12 : start + 12 + 2 * cells]):
        position = data.index(b"runs/", start + at)
        found.append((bytes(data[position : position + len(KEYS[0])]).decode(), position))
    return found


def bytes_of_rows(data, page):
    """Return the positions of an interior page that lead to no other page."""
    start = (page - 1) * PAGE
    (cells,) = struct.unpack_from(">H", data, start + 3)
    head = 12 + 2 * cells
    places = struct.unpack_from(f">{cells}H", data, start + 12)
    children = {place + byte for place in places for byte in range(4)}
    return [start + at for at in range(head, PAGE) if at not in children]


def moved(closed, at=1):
    """Return damage that puts a key of the root of the objects before all others, and a key that this hides."""
    data = bytearray((closed / "meta" / "meta.db").read_bytes())
    rows = keys_on(data, root_of(closed, "object"))
    key, position = rows[at]
    hidden = KEYS[KEYS.index(key) - 1]

    def damage(data):
        # "runs/" becomes "buns/"
        data[position] ^= 0x10
        return data

    return damage, hidden


def test_an_object_that_is_hidden_is_damaged_and_not_missing(closed, opened):
    damage, hidden = moved(closed)
    engine = opened(damage)

    with pytest.raises(IntegrityError) as raised:
        engine.head("bucket", hidden)
    assert (raised.value.bucket, raised.value.key) == ("bucket", hidden)
    with pytest.raises(IntegrityError):
        engine.read("bucket", hidden)
    assert isinstance(engine._index.find_many("bucket", [hidden])[0], IntegrityError)
    with pytest.raises(IntegrityError):
        engine._index.find_small("bucket", hidden)


def test_a_hidden_object_is_neither_made_anew_nor_told_to_have_been_deleted(closed, opened, put):
    damage, hidden = moved(closed)
    engine = opened(damage)

    for condition in (Condition(if_absent=True), Condition(if_match="1-00000000")):
        with pytest.raises(IntegrityError):
            put(engine, hidden, b"other", condition=condition)
    with pytest.raises(IntegrityError):
        engine.delete("bucket", hidden)
    with pytest.raises(IntegrityError):
        engine.delete_many("bucket", [hidden])


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_a_listing_lacks_nothing_that_is_hidden(closed, opened, delimiter):
    damage, hidden = moved(closed)
    engine = opened(damage)

    with pytest.raises(IntegrityError):
        engine.page(ListQuery(bucket="bucket", prefix=hidden.removesuffix("result"), delimiter=delimiter))


def test_a_bucket_that_its_index_of_names_does_not_lead_to_is_not_missing(closed, opened, put):
    root = root_of(closed, "sqlite_autoindex_bucket_1")

    def damage(data):
        at = data.index(b"bucket", (root - 1) * PAGE)
        data[at] ^= 1
        return data

    engine = opened(damage)

    with pytest.raises(IntegrityError):
        engine.head_bucket("bucket")
    with pytest.raises(IntegrityError):
        engine.head("bucket", KEYS[0])
    with pytest.raises(IntegrityError):
        put(engine, KEYS[0])
    with pytest.raises(IntegrityError):
        engine.create_bucket("bucket")


def test_flipped_bits_in_rows_within_the_tree_of_the_objects_hide_none(closed, opened, thorough):
    root = root_of(closed, "object")
    # a page number that leads to another page of the tree hides what no row beside it tells of
    chooser, places = random.Random(2), bytes_of_rows((closed / "meta" / "meta.db").read_bytes(), root)
    for _ in range(60 if thorough else 12):
        at, bit = chooser.choice(places), chooser.randrange(8)

        def damage(data, at=at, bit=bit):
            data[at] ^= 1 << bit
            return data

        engine = opened(damage)
        for key in KEYS[:: 2 if thorough else 11]:
            with suppress(IntegrityError):
                assert engine.head("bucket", key).size == 4
        with pytest.raises((IntegrityError, ObjectNotFoundError)):
            engine.head("bucket", "other")


def test_what_is_not_there_is_missing(open_local, local, put):
    with pytest.raises(ObjectNotFoundError):
        local.head("bucket", "key")
    put(local, "a")
    put(local, "c")
    with pytest.raises(ObjectNotFoundError):
        local.head("bucket", "b")
    with pytest.raises(BucketNotFoundError):
        local.head("other", "b")
    put(local, "b", condition=Condition(if_absent=True))
    with pytest.raises(AlreadyExistsError):
        put(local, "b", condition=Condition(if_absent=True))
    assert local.delete("bucket", "b", ANY)
    assert not local.delete("bucket", "b", ANY)
