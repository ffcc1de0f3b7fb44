"""Replaced generations stay for pinned readers: for a while, up to a total, never on a full disk."""

from __future__ import annotations

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import ObjectNotFoundError, PreconditionFailedError
from actorc.storage.models import ANY, Condition, ObjectAttributes, SmallObject
from actorc.storage.rules import KiB
from actorc.storage.server.engines.local import INLINE_MAX, Retention
from actorc.storage.server.engines.local.index.index import Index

SMALL, LARGE = 10, INLINE_MAX + 1


def gone(engine, get, info):
    try:
        get(engine, info.key, generation=info.generation)
    except ObjectNotFoundError:
        return True
    return False


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_replaced_generation_stays_readable_for_a_quarter_of_an_hour(local, put, get, clock, files, tmp_path, size):
    first = put(local, "key", b"1" * size)
    second = put(local, "key", b"2" * size)
    put(local, "key", b"3" * size)

    clock.now += 15 * 60 - 1
    local.sweep()
    assert b"1" * size == get(local, "key", generation=first.generation)
    assert b"2" * size == get(local, "key", generation=second.generation)
    clock.now += 2
    assert gone(local, get, first)
    local.sweep()

    assert b"3" * size == get(local, "key")
    assert (1 if size == LARGE else 0) == len(files(tmp_path / "data" / "blobs"))
    assert local.maintenance.fsck() == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_deleting_an_object_drops_what_was_retained_of_it(local, put, get, size):
    first = put(local, "key", b"1" * size)
    other = put(local, "kez", b"1" * size)
    second = put(local, "key", b"2" * size)
    put(local, "kez", b"2" * size)

    with local.read("bucket", "key", generation=first.generation) as reader:
        local.delete("bucket", "key")
        local.sweep()

        assert b"1" * size == b"".join(chunk.data for chunk in reader.chunks())
    put(local, "key", b"3")
    assert gone(local, get, first)
    assert gone(local, get, second)
    assert not gone(local, get, other)
    assert local.maintenance.fsck() == []


def test_the_oldest_go_when_the_total_is_exceeded(open_local, put, get, clock):
    engine = open_local(retention=Retention(max_bytes=100 * KiB))
    engine.create_bucket("bucket")
    infos = []
    for number in range(5):
        clock.now += 1
        infos.append(put(engine, f"key{number % 2}", bytes(40 * KiB)))

    assert [gone(engine, get, info) for info in infos[:3]] == [True, False, False]


def test_what_exceeds_the_total_alone_is_not_retained(open_local, put, get, files, tmp_path):
    engine = open_local(retention=Retention(max_bytes=100 * KiB))
    engine.create_bucket("bucket")
    kept = put(engine, "other", bytes(30 * KiB))
    put(engine, "other", b"")
    first = put(engine, "key", bytes(101 * KiB))
    put(engine, "key", b"")
    engine.sweep()

    assert gone(engine, get, first)
    assert not gone(engine, get, kept)
    assert len(files(tmp_path / "data" / "blobs")) == 1


def test_nothing_is_retained_on_a_nearly_full_disk(local, disk, put, get, files, tmp_path):
    kept = put(local, "other", bytes(LARGE))
    put(local, "other", b"")
    disk.free = 0.05
    first = put(local, "key", bytes(LARGE))
    put(local, "key", b"")

    assert gone(local, get, first)
    assert not gone(local, get, kept)
    local.sweep()
    assert gone(local, get, kept)
    assert files(tmp_path / "data" / "blobs") == []
    assert local.maintenance.fsck() == []


def test_many_expired_generations_are_swept_in_one_go(local, put, clock, monkeypatch):
    monkeypatch.setattr(Index, "batch", 3)
    for _ in range(8):
        put(local, "key", b"data", idempotency_key="")
    clock.now += 3600

    local.sweep()

    with local._index.reading() as connection:
        assert connection.execute("SELECT count(*) FROM retained").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM content").fetchone() == (1,)


def test_old_answers_are_swept(local, put, clock):
    put(local, "key", b"1", idempotency_key="old")
    clock.now += 24 * 3600 + 1
    put(local, "key", b"2", idempotency_key="new")

    local.sweep()

    with local._index.reading() as connection:
        assert connection.execute("SELECT count(*) FROM outcome").fetchone() == (1,)


def test_retained_bytes_are_counted_right_though_a_change_of_the_same_transaction_is_undone(local, put, clock):
    for key in ("first", "last"):
        put(local, key, b"old")
    for _ in range(2):
        put(local, "expired", b"old", ttl=1)
    clock.now += 2
    # the expired object and what is retained of it are removed, before the condition is found not to be met
    conditions = {"first": Condition(), "expired": Condition(if_match="other"), "last": Condition()}
    objects = [
        SmallObject(key=key, data=b"new", crc32c=crc32c(b"new"), attributes=ObjectAttributes(), condition=condition)
        for key, condition in conditions.items()
    ]

    results = local.put_many("bucket", objects)

    assert [isinstance(result, PreconditionFailedError) for result in results] == [False, True, False]
    assert local.maintenance.fsck() == []


def test_a_batch_of_replaced_objects_changes_the_retained_bytes_once(local):
    def put_all():
        data = b"data"
        local.put_many(
            "bucket",
            [
                SmallObject(key=f"{n}", data=data, crc32c=crc32c(data), attributes=ObjectAttributes(), condition=ANY)
                for n in range(50)
            ],
        )

    put_all()
    connection = local._index._idempotency.commits._connection
    said = []
    connection.set_trace_callback(said.append)
    put_all()

    # SQLite tells of it once more for each of its triggers
    assert 1 <= sum(statement.startswith("UPDATE meta") and "retained_bytes" in statement for statement in said) < 10
    assert local.maintenance.fsck() == []
