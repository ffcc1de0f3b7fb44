"""What a small object and a batch of them cost the durable engine: commits and statements, counted."""

from __future__ import annotations

from collections import Counter

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import AlreadyExistsError, IntegrityError, ObjectNotFoundError, PreconditionFailedError
from actorc.storage.models import Condition, ObjectAttributes, ObjectContent, ObjectInfo, SmallObject
from actorc.storage.rules import KiB
from actorc.storage.server.engines.local import FsOps

MANY = [f"key-{number:03}" for number in range(100)]


class Counting(FsOps):
    """The real disk, and how often the index was committed."""

    commits = 0

    def free_fraction(self, path):
        """Return that all is free: whether replaced objects are retained must not depend on the disk of the tests."""
        return 1.0

    def commit(self, connection):
        self.commits += 1
        super().commit(connection)


@pytest.fixture
def disk():
    return Counting()


@pytest.fixture
def engine(open_local):
    engine = open_local()
    engine.create_bucket("bucket")
    return engine


@pytest.fixture
def said(engine):
    """Return the statements that the reading connection ran since."""
    statements = []
    with engine._index.reading() as connection:
        connection.set_trace_callback(statements.append)
    return statements


def small(key, data=b"data", **attributes):
    return SmallObject(key, data, crc32c(data), ObjectAttributes(**attributes))


def damage(engine, key):
    """Change the inline bytes of an object and leave their checksums."""
    (found,) = engine._index.find_many("bucket", [key])
    engine._index.run(
        lambda connection: connection.execute(
            "UPDATE content SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE sums = ?",
            (found.segment.sums[0].to_bytes(4, "little"),),
        )
    )


def test_a_batch_is_durable_by_one_commit(engine, disk):
    before = disk.commits
    engine.put_many("bucket", [small(key) for key in MANY], idempotency_key="call")

    assert disk.commits == before + 1


def test_a_batch_with_a_refused_object_is_one_commit_of_the_others(engine, disk):
    engine.put_many("bucket", [small("key-001")])
    before = disk.commits
    batch = [small(key)._replace(condition=Condition(if_absent=True)) for key in MANY]
    results = engine.put_many("bucket", batch)

    assert disk.commits == before + 1
    assert [key for key, result in zip(MANY, results, strict=True) if isinstance(result, Exception)] == ["key-001"]


def test_the_results_of_a_batch_are_recorded_in_one_row_that_a_later_start_knows(engine, open_local):
    batch = [small(key)._replace(condition=Condition(if_absent=True)) for key in MANY]
    first = engine.put_many("bucket", batch, idempotency_key="call")
    with engine._index.reading() as connection:
        assert connection.execute("SELECT count(*) FROM outcome").fetchone() == (1,)
    engine.close()

    engine = open_local()

    assert engine.put_many("bucket", batch, idempotency_key="call") == first
    assert [engine.put_small("bucket", each, idempotency_key="call") for each in batch[:3]] == first[:3]


def test_a_batch_that_is_repeated_to_another_process_gets_the_first_answers(pair):
    first, second = pair
    batch = [small(key) for key in MANY]
    answers = first.put_many("bucket", batch, idempotency_key="call")

    assert second.put_many("bucket", batch, idempotency_key="call") == answers
    assert second.put_small("bucket", batch[-1], idempotency_key="call") == answers[-1]


def test_a_batch_costs_few_statements_beside_those_that_write_its_objects(engine):
    batch = [small(key) for key in MANY]
    engine.put_many("bucket", batch, idempotency_key="first")
    statements = []
    connection = engine._index._idempotency.commits._connection
    connection.set_trace_callback(statements.append)
    engine.put_many("bucket", batch, idempotency_key="second")
    connection.set_trace_callback(None)

    # SQLite tells of a statement once more for each of its triggers
    kinds = Counter(" ".join(each.split()[:3]) for each in set(statements))
    assert kinds["INSERT INTO retained"] == kinds["INSERT OR REPLACE"] == 1
    assert sum(count for kind, count in kinds.items() if kind.startswith("SELECT")) <= 6


def test_an_object_that_fails_behind_a_write_is_not_among_the_recorded_results(engine, clock):
    engine.put_small("bucket", small("expired", ttl=1))
    clock.now += 2
    # the expired object is removed before the condition is found not to be met
    batch = [small("first"), small("expired")._replace(condition=Condition(if_match="other")), small("last")]
    first = engine.put_many("bucket", batch, idempotency_key="call")

    again = engine.put_many("bucket", batch, idempotency_key="call")

    assert [type(each) for each in first] == [ObjectInfo, PreconditionFailedError, ObjectInfo]
    assert (again[0], again[2]) == (first[0], first[2])
    assert isinstance(again[1], PreconditionFailedError)


def test_a_change_that_is_refused_alone_is_not_committed(engine, disk):
    engine.put_small("bucket", small("key"))
    before = disk.commits
    with pytest.raises(AlreadyExistsError):
        engine.put_small("bucket", small("key", b"other")._replace(condition=Condition(if_absent=True)))

    assert disk.commits == before
    assert engine.read_small("bucket", "key", most=KiB).data == b"data"


def test_a_hundred_objects_are_looked_up_by_two_statements(engine, said):
    engine.put_many("bucket", [small(key) for key in MANY])
    del said[:]
    found = list(engine.read_many("bucket", MANY, most=KiB))

    assert len(said) == 2
    assert [each.data for each in found] == [b"data"] * len(MANY)


def test_a_small_object_is_read_by_one_statement(engine, said):
    engine.put_small("bucket", small("key"))
    del said[:]

    assert engine.read_small("bucket", "key", most=KiB).data == b"data"
    assert [each.split()[0] for each in said] == ["PRAGMA", "SELECT"]


def test_an_object_above_the_limit_is_described_without_its_bytes(engine):
    info = engine.put_small("bucket", small("key", bytes(40 * KiB)))

    assert engine.read_small("bucket", "key", most=KiB) == ObjectContent(info, None)
    assert engine.read_small("bucket", "key", most=40 * KiB) == ObjectContent(info, bytes(40 * KiB))


def test_a_damaged_object_is_an_error_of_its_own_in_a_batch(engine):
    engine.put_many("bucket", [small("sound"), small("damaged", b"other data")])
    damage(engine, "damaged")
    found = list(engine.read_many("bucket", ["sound", "damaged", "missing"], most=KiB))

    assert [type(each) for each in found] == [ObjectContent, IntegrityError, ObjectNotFoundError]
    with pytest.raises(IntegrityError, match="block 0"):
        engine.read_small("bucket", "damaged", most=KiB)
