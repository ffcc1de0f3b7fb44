"""What a reading connection remembers, while other connections and processes change the index."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import BucketNotFoundError, ObjectNotFoundError, StorageError
from actorc.storage.models import ObjectAttributes, SmallObject
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.batches import attempted

KEYS = ["a", "b", "c"]
SIZES = [0, 10, 4 * KiB, 40 * KiB]

WRITER = """
import sys
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import SmallObject
from actorc.storage.server.engines.local import LocalEngine

engine = LocalEngine(sys.argv[1], group=int(sys.argv[2]), sweep_interval=None)
for number in range(int(sys.argv[3])):
    data = b"%d" % number
    if number % 10 == 9:
        engine.delete("bucket", "key")
    else:
        engine.put_small("bucket", SmallObject("key", data, crc32c(data)))
    print(number, flush=True)
engine.close()
"""


def small(key, data=b"data", ttl=None):
    return SmallObject(key, data, crc32c(data), ObjectAttributes(ttl=ttl))


def read(engine, key="key"):
    return engine.read_small("bucket", key, most=MiB).data


@pytest.fixture
def said(local):
    """Return the statements that the reading connection ran since."""
    statements = []
    with local._index.reading() as connection:
        connection.set_trace_callback(lambda statement: statements.append(statement.split()[0]))
    return statements


@pytest.mark.parametrize("size", SIZES)
def test_what_nobody_changed_is_looked_up_once(local, said, put, get, size):
    put(local, "key", bytes(size))
    looked_up = get(local, "key"), local.head("bucket", "key")
    before = list(said)

    assert (get(local, "key"), local.head("bucket", "key")) == looked_up
    with local.read("bucket", "key", generation=looked_up[1].generation) as reader:
        assert reader.info == looked_up[1]
    assert said[len(before) :] == ["PRAGMA"] * 3


def test_a_small_object_is_looked_up_once_and_described_from_memory(local, said):
    local.put_small("bucket", small("key"))
    del said[:]

    assert [read(local), read(local), local.head("bucket", "key").size] == [b"data", b"data", 4]
    assert said == ["PRAGMA", "SELECT", "PRAGMA", "PRAGMA"]


def test_a_commit_of_any_object_forgets_all(local, said):
    local.put_small("bucket", small("key"))
    read(local)
    local.put_small("bucket", small("other"))
    del said[:]

    assert read(local) == b"data"
    assert said == ["PRAGMA", "SELECT"]


def test_a_remembered_object_expires_by_the_clock(local, clock):
    local.put_small("bucket", small("key", ttl=60))
    assert read(local) == b"data"
    clock.now += 60

    for look_up in (lambda: read(local), lambda: local.head("bucket", "key"), lambda: local.read("bucket", "key")):
        with pytest.raises(ObjectNotFoundError):
            look_up()


def test_a_replaced_generation_is_not_taken_for_the_current_one(local, put, get):
    old, new = put(local, "key", b"old"), put(local, "key", b"new")

    assert [get(local, "key", generation=old.generation), get(local, "key")] == [b"old", b"new"]
    assert [read(local), get(local, "key", generation=old.generation)] == [b"new", b"old"]
    assert local.head("bucket", "key") == new


def test_a_replaced_generation_ends_by_the_clock(local, put, get, clock):
    old = put(local, "key", b"old")
    put(local, "key", b"new")
    assert get(local, "key", generation=old.generation) == b"old"
    clock.now += 15 * 60

    with pytest.raises(ObjectNotFoundError, match="is gone"):
        get(local, "key", generation=old.generation)


def test_a_removed_bucket_is_gone_for_a_reader_that_remembers_an_object_of_it(pair):
    first, second = pair
    first.put_small("bucket", small("key"))
    read(second)
    first.delete("bucket", "key")
    first.delete_bucket("bucket")

    with pytest.raises(BucketNotFoundError):
        read(second)


def test_a_connection_remembers_a_bounded_number_of_bytes_and_no_large_object(local, said, put, get):
    keys = [f"{number}" for number in range(100)]
    local.put_many("bucket", [small(key, bytes(16 * KiB)) for key in keys])
    put(local, "large", bytes(3 * MiB), metadata={"text": "x" * 60 * KiB})
    for key in keys:
        read(local, key)
    get(local, "large")
    del said[:]

    read(local, keys[0])
    read(local, keys[-1])
    get(local, "large")
    assert said == ["PRAGMA", "SELECT", "PRAGMA", "PRAGMA", "BEGIN", "SELECT", "SELECT", "COMMIT"]


actions = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["put", "put", "ttl", "delete", "copy", "wait", "sweep"]),
    *[st.sampled_from(KEYS)] * 2,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(actions, max_size=20), st.integers())
def test_two_engines_read_what_a_look_up_without_memory_finds(pair, clock, actions, seed):
    drawn = random.Random(seed)
    for number, name, key, other in actions:
        engine = pair[number]
        match name:
            case "put" | "ttl":
                data = drawn.randbytes(drawn.choice(SIZES))
                engine.put_small("bucket", small(key, data, ttl=30 if name == "ttl" else None))
            case "delete":
                engine.delete("bucket", key)
            case "copy":
                attempted(lambda: engine.copy(CopySource(bucket="bucket", key=key), "bucket", other))  # noqa: B023
            case "wait":
                clock.now += 20
            case "sweep":
                engine.sweep()
        # the second time from memory
        for reader in (*pair, *pair):
            _check(reader)


def _check(engine):
    for key, found in zip(KEYS, engine._index.find_many("bucket", KEYS), strict=True):
        if isinstance(found, StorageError):
            assert isinstance(attempted(lambda: read(engine, key)), ObjectNotFoundError)  # noqa: B023
            assert isinstance(attempted(lambda: engine.head("bucket", key)), ObjectNotFoundError)  # noqa: B023
            continue
        data = read(engine, key)
        with engine.read("bucket", key) as reader:
            assert (reader.info, engine.head("bucket", key)) == (found.info, found.info)
            assert b"".join(chunk.data for chunk in reader.chunks()) == data
        assert crc32c(data) == found.info.crc32c


@pytest.mark.slow
def test_a_reader_never_returns_less_than_another_process_has_committed(group, tmp_path):
    engine = group()
    count = 1000
    command = [sys.executable, "-c", WRITER, str(tmp_path / "data"), str(group.lock), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[group.lock]) as writer:
        last = -1
        for line in writer.stdout:
            committed = int(line)
            for _ in range(3):
                found = attempted(lambda: int(read(engine)))
                seen = last if isinstance(found, ObjectNotFoundError) else found
                assert isinstance(found, ObjectNotFoundError) or seen >= committed
                assert seen >= last
                last = seen
    assert (writer.returncode, committed) == (0, count - 1)
    with pytest.raises(ObjectNotFoundError):
        read(engine)
