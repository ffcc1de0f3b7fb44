"""An index that is damaged, or lacks something, is refused with what to do, or names what it cannot answer for."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ListQuery, ObjectAttributes, SmallObject
from actorc.storage.rules import KiB
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.local import LocalEngine, inspect
from actorc.storage.server.engines.local.index.schema import connect
from actorc.storage.server.engines.local.index.startup import REMEDY

LARGE = 100_000
PAGE = 4096


@pytest.fixture
def database(tmp_path):
    return tmp_path / "data" / "meta" / "meta.db"


@pytest.fixture
def kill(tmp_path):
    """Return a copy of a data directory as it is while its engine is open: what a kill leaves."""

    def copy(name="killed"):
        shutil.copytree(tmp_path / "data", tmp_path / name)
        return tmp_path / name

    return copy


def contents(directory):
    """Return what must be the same after a refused start: all but locks, and what SQLite makes to look."""
    beside = {"LOCK", "open.lock", "meta.db-shm"}
    found = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name not in beside}
    return {path: data for path, data in found.items() if data or path.name != "meta.db-wal"}


def empty(database):
    os.truncate(database, 0)


def halve(database):
    os.truncate(database, database.stat().st_size // 2)


def lose(database):
    database.unlink()


def flip_header(database):
    flip(database, 3, 0x10)


def become_a_rollback_database(database):
    flip(database, 18, 0x03)


def claim_a_newer_version(database):
    with closing(connect(database)) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def flip(path, position, mask):
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes((byte ^ mask,)))


DAMAGES = [empty, halve, lose, flip_header, become_a_rollback_database, claim_a_newer_version]


@pytest.mark.few(4)
@pytest.mark.parametrize("size", [10, LARGE], ids=["inline", "blob"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_refused_and_nothing_is_removed_or_made(
    open_local, local, put, tmp_path, database, damage, size
):
    put(local, "key", bytes(size))
    local.close()
    damage(database)
    before = contents(tmp_path / "data")

    for _ in range(2):
        with pytest.raises(StorageError, match=r"restore|use the version"):
            open_local()

    assert contents(tmp_path / "data") == before


def test_a_stray_bit_after_a_clean_stop_makes_the_next_start_verify_and_name_the_row(
    open_local, local, put, tmp_path, database
):
    put(local, "some/key", b"data", metadata={"colour": "ultramarine"})
    local.close()
    flip(database, database.read_bytes().index(b"ultramarine"), 0x01)

    with pytest.raises(IntegrityError, match="bucket/some/key: a row of the table object") as refused:
        open_local()

    assert REMEDY in refused.value.message
    assert ("damaged", "bucket/some/key") in [(one.kind, one.subject) for one in inspect(tmp_path / "data")]


def test_a_stray_bit_while_the_index_is_open_makes_the_next_start_verify_and_name_the_row(
    open_local, local, put, database, caplog
):
    put(local, "some/key", b"data", metadata={"colour": "ultramarine"})
    local._index.checkpoint()
    flip(database, database.read_bytes().index(b"ultramarine"), 0x01)

    local.close()

    assert "bucket/some/key: a row of the table object" in caplog.text
    with pytest.raises(IntegrityError, match="bucket/some/key: a row of the table object"):
        open_local()


def test_a_page_that_the_disk_did_not_write_is_missed_after_a_clean_stop(open_local, local, put, database, tmp_path):
    def closed():
        engine.close()
        return [database.read_bytes()[at : at + PAGE] for at in range(0, database.stat().st_size, PAGE)]

    engine = local
    for number in range(40):
        put(engine, f"key{number}", b"old" * 10)
    before = closed()
    engine = open_local()
    for number in range(40):
        put(engine, f"key{number}", b"new" * 10)
    after = closed()
    changed = [at for at in range(1, len(before)) if before[at] != after[at]]
    assert len(changed) > 3
    for at in changed:
        data = tmp_path / f"data{at}"
        shutil.copytree(tmp_path / "data", data)
        engine = open_local(data.name)
        with (data / "meta" / "meta.db").open("r+b") as file:
            file.seek(at * PAGE)
            file.write(before[at])
        engine.close()

        with pytest.raises(IntegrityError, match="is damaged"):
            open_local(data.name)


def test_a_power_cut_after_a_clean_stop_brings_no_log_back_that_is_refused(open_local, disk, put, get, tmp_path):
    class Cut(type(disk)):
        """Leaves a copy of the directory when the mark has its name, with the log as it was synced last."""

        log = tmp_path / "data" / "meta" / "meta.db-wal"
        synced = b""
        closing = False

        def sync(self, descriptor):
            super().sync(descriptor)
            if self.log.exists() and os.path.samestat(os.fstat(descriptor), self.log.stat()):
                self.synced = self.log.read_bytes()

        def commit(self, connection):
            super().commit(connection)
            if self.log.exists():  # that of the draft of a new index has another name
                self.synced = self.log.read_bytes()

        def sync_directory(self, path):
            super().sync_directory(path)
            if self.closing and (path / "clean").exists():
                shutil.copytree(tmp_path / "data", tmp_path / "cut")
                (tmp_path / "cut" / "meta" / "meta.db-wal").write_bytes(self.synced)

    cut = Cut()
    engine = open_local(fsops=cut)
    engine.create_bucket("bucket")
    put(engine, "key", b"data")
    assert any(cut.synced)
    cut.closing = True
    engine.close()

    assert get(open_local("cut"), "key") == b"data"


def test_a_row_that_is_gone_or_counted_twice_is_noticed_after_a_kill(open_local, local, put, kill):
    put(local, "key", b"data")
    put(local, "other", b"data")
    killed = kill()
    with closing(connect(killed / "meta" / "meta.db")) as connection:
        connection.execute("DROP TRIGGER object_count_delete")
        connection.execute("DELETE FROM object WHERE key = ?", (b"key",))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (killed / "meta" / "meta.db-wal").touch()

    with pytest.raises(IntegrityError, match="object: 1 rows are there and 2 are counted"):
        open_local("killed")


def test_a_kill_loses_nothing_and_the_next_start_verifies(open_local, local, put, get, kill):
    put(local, "key", b"data")
    kill()

    engine = open_local("killed")

    assert engine._index.verified
    assert get(engine, "key") == b"data"
    assert engine.maintenance.fsck() == []
    engine.close()
    assert not open_local("killed")._index.verified


def test_a_log_that_is_gone_after_a_kill_is_missed(open_local, local, put, kill):
    put(local, "key", b"data")
    (kill() / "meta" / "meta.db-wal").unlink()

    with pytest.raises(IntegrityError, match=r"meta\.db-wal is missing"):
        open_local("killed")


def test_a_log_beside_an_index_that_was_closed_without_one_is_refused(open_local, local, put, kill, database):
    put(local, "key", b"data")
    killed = kill()
    local.close()
    shutil.copy(killed / "meta" / "meta.db-wal", database.parent)

    with pytest.raises(IntegrityError, match="does not belong"):
        open_local()


def test_an_older_copy_of_the_index_is_refused_beside_the_mark_of_a_newer_one(open_local, local, put, database):
    put(local, "key", b"old")
    local.close()
    older = database.read_bytes()
    newer = open_local()
    put(newer, "key", b"new")
    newer.close()
    database.write_bytes(older)

    with pytest.raises(IntegrityError, match="an older copy of the index"):
        open_local()


def test_a_mark_that_cannot_be_read_costs_a_verification_and_nothing_else(open_local, local, put, get, database):
    put(local, "key", b"data")
    local.close()
    database.with_name("clean").chmod(0o600)
    database.with_name("clean").write_bytes(b"\x00")

    engine = open_local()

    assert engine._index.verified
    assert get(engine, "key") == b"data"


def test_the_first_of_a_group_verifies_and_the_last_one_leaves_the_mark(open_local, local, kill, database, tmp_path):
    lock = local.share()
    members = [LocalEngine(tmp_path / "data", group=os.dup(lock), sweep_interval=None) for _ in range(2)]
    assert not database.with_name("clean").exists()

    members[0].close()
    assert not database.with_name("clean").exists()
    killed = kill()
    members[1].close()
    os.close(lock)

    assert database.with_name("clean").exists()
    assert not open_local()._index.verified
    founder = open_local(killed.name)
    assert founder._index.verified


def test_a_disk_that_takes_no_mark_costs_the_next_start_a_verification(open_local, disk, put, get):
    class Unmarked(type(disk)):
        def rename(self, source, target):
            if target.name == "clean" and self.closing:
                raise OSError(28, "No space left on device")
            super().rename(source, target)

        closing = False

    unmarked = Unmarked()
    engine = open_local(fsops=unmarked)
    engine.create_bucket("bucket")
    put(engine, "key", b"data")
    unmarked.closing = True
    engine.close()

    engine = open_local()

    assert engine._index.verified
    assert get(engine, "key") == b"data"


def test_a_disk_that_takes_nothing_any_more_at_a_stop_costs_the_next_start_a_verification(open_local, disk, put, get):
    class Failing(type(disk)):
        closing = False

        def rename(self, source, target):
            self.fail()
            super().rename(source, target)

        def sync(self, descriptor):
            self.fail()
            super().sync(descriptor)

        def fail(self):
            if self.closing:
                raise OSError(5, "Input/output error")

    failing = Failing()
    engine = open_local(fsops=failing)
    engine.create_bucket("bucket")
    put(engine, "key", b"data")
    failing.closing = True
    engine.close()

    engine = open_local()

    assert engine._index.verified
    assert get(engine, "key") == b"data"


def test_an_engine_whose_directory_is_moved_away_closes_and_loses_nothing(open_local, local, put, get, database):
    put(local, "key", b"data")
    elsewhere = database.parent.rename(database.parent.with_name("elsewhere"))

    local.close()
    elsewhere.rename(database.parent)

    assert get(open_local(), "key") == b"data"


def damaged_while_open(database, statement):
    """Change a row so that its checksum does not match, and no trigger knows of it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.create_function("row_checksum", -1, lambda *_: 0, deterministic=True)
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, definition in triggers:
            connection.execute(definition)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE object SET size = size + 1",
        "UPDATE object SET content_id = 77",
        "UPDATE object SET metadata = CAST(x'ff' AS TEXT)",
        "UPDATE content SET sums = x'00000000'",
        "UPDATE content SET size = 3",
    ],
)
def test_a_row_damaged_meanwhile_is_an_error_that_names_the_object(local, put, get, database, statement):
    put(local, "key", b"data")
    damaged_while_open(database, statement)

    for call in (
        lambda: get(local, "key"),
        lambda: local.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy") and get(local, "copy"),
        lambda: local.delete("bucket", "key"),
    ):
        with pytest.raises(IntegrityError) as refused:
            call()
        assert refused.value.bucket == "bucket"
        assert refused.value.key in {"key", "copy"}

    assert local.healthy
    assert "damaged" in [finding.kind for finding in local.maintenance.fsck()]


@pytest.mark.parametrize("size", [10, LARGE], ids=["inline", "blob"])
@pytest.mark.parametrize("longer", [0, 1])
def test_content_of_another_object_that_an_older_row_leads_to_is_not_given(local, put, get, database, size, longer):
    put(local, "a", b"a" * size)
    put(local, "b", b"b" * (size + longer))
    # its checksum is right, as that of a row is which the disk put back to what it was
    with closing(connect(database)) as connection:
        other = "(SELECT content_id FROM object WHERE key = x'62')"
        connection.execute(f"UPDATE object SET content_id = {other} WHERE key = x'61'")

    with pytest.raises(IntegrityError):
        get(local, "a")
    with pytest.raises(IntegrityError):
        local._index.find_small("bucket", "a")
    assert isinstance(local._index.find_many("bucket", ["a"])[0], IntegrityError)
    assert get(local, "b") == b"b" * (size + longer)


def test_a_bucket_whose_objects_are_hidden_by_damage_is_not_removed(local, put, database):
    put(local, "key", b"data")
    damaged_while_open(database, "UPDATE object SET bucket_id = 77")

    with pytest.raises(IntegrityError):
        local.delete_bucket("bucket")

    assert [bucket.name for bucket in local.buckets()] == ["bucket"]


def test_a_batch_whose_recorded_results_are_damaged_is_refused_and_changes_nothing(local, database):
    batch = [SmallObject(key, b"data", crc32c(b"data")) for key in ("a", "b")]
    first = local.put_many("bucket", batch, idempotency_key="call")
    damaged_while_open(database, "UPDATE outcome SET result = '{}'")

    again = local.put_many("bucket", batch, idempotency_key="call")

    assert [(type(each), "table outcome" in each.message) for each in again] == [(IntegrityError, True)] * 2
    with pytest.raises(IntegrityError, match="table outcome"):
        local.put_small("bucket", batch[0], idempotency_key="call")
    assert [local.head("bucket", each.key) for each in batch] == first


@pytest.mark.parametrize("statement", ["UPDATE object SET size = 3", "UPDATE content SET size = 3"])
def test_a_batch_stores_the_objects_that_damaged_rows_are_not_about(local, database, clock, statement):
    old, new = (SmallObject(key, b"data", crc32c(b"data"), ObjectAttributes(ttl=9)) for key in ("old", "new"))
    local.put_small("bucket", old)
    damaged_while_open(database, statement)
    # an expired object is removed before it is replaced, which its damaged rows refuse
    clock.now += 10

    results = local.put_many("bucket", [old, new], idempotency_key="call")

    assert isinstance(results[0], IntegrityError)
    assert results[1] == local.head("bucket", "new")
    assert local.put_many("bucket", [new], idempotency_key="call") == results[1:]


def test_a_listing_with_a_damaged_row_is_an_error(local, put, database):
    for key in ("a/key", "b/key", "c/key"):
        put(local, key, b"data")
    damaged_while_open(database, "UPDATE object SET key = x'642f6b6579' WHERE key = x'632f6b6579'")

    for delimiter in ("", "/"):
        with pytest.raises(IntegrityError):
            local.page(ListQuery(bucket="bucket", delimiter=delimiter, limit=10))
    # the damaged row, whose key nobody knows, may be one of these
    with pytest.raises(IntegrityError):
        local.page(ListQuery(bucket="bucket", prefix="b/", limit=10))
    with pytest.raises(IntegrityError):
        local.head("bucket", "c/key")
    assert local.page(ListQuery(bucket="bucket", prefix="a/", limit=10)).objects[0].key == "a/key"


def test_a_damaged_row_of_garbage_removes_no_blob(local, put, files, tmp_path, database):
    put(local, "key", bytes(LARGE))
    put(local, "gone", bytes(LARGE))
    local.delete("bucket", "gone")
    blobs = set(files(tmp_path / "data" / "blobs"))
    damaged_while_open(database, "UPDATE garbage SET guard = (SELECT file FROM content), file = 'x'")

    local.sweep()

    assert local.read("bucket", "key").info.size == LARGE
    assert blobs <= set(files(tmp_path / "data"))


SMALL, BLOB = 2 * KiB, 20 * KiB
LAST = "last"
"""What the last transaction of the log is about."""


@pytest.fixture
def flipped_states(open_local, put, assemble, kill, tmp_path):
    """What must be there in a directory, one copy of it after a kill and one after a clean stop."""

    def fill(engine, rounds):
        for number in rounds:
            size = BLOB if number % 4 == 0 else SMALL
            key = f"folder{number % 3}/key{number}"
            data = random.Random(number).randbytes(size)
            put(engine, key, data, metadata={"number": str(number)}, idempotency_key=str(number))
            expected[key] = data
        pieces = [random.Random(f"{rounds}{one}").randbytes(BLOB) for one in range(3)]
        assemble(engine, f"parts{rounds.start}", pieces)
        expected[f"parts{rounds.start}"] = b"".join(pieces)
        put(engine, f"folder0/key{rounds.start}", expected[f"folder0/key{rounds.start}"])
        engine.create_upload("bucket", "later", ObjectAttributes())

    expected = {}
    engine = open_local()
    engine.create_bucket("bucket")
    fill(engine, range(12))
    engine.close()
    engine = open_local()
    fill(engine, range(12, 24))
    put(engine, LAST, b"of all")
    killed = kill()
    engine.close()
    return expected, {"kill": killed, "stop": tmp_path / "data"}


@pytest.fixture
def flipped(flipped_states, tmp_path, open_local):
    """Open copies of a state, each with another bit flipped in a file of the index; yield the engine, or None."""
    _, states = flipped_states

    def opened(end, name, chance, count):
        for number in range(count):
            copy = tmp_path / f"copy{number}"
            shutil.copytree(states[end], copy, copy_function=os.link, ignore=shutil.ignore_patterns("meta"))
            shutil.copytree(states[end] / "meta", copy / "meta")
            path = copy / "meta" / name
            flip(path, chance.randrange(path.stat().st_size), 1 << chance.randrange(8))
            blobs = {path.name for path in (copy / "blobs").rglob("*") if path.is_file()}
            try:
                engine = open_local(copy.name)
            except StorageError:
                yield None
            else:
                engine.sweep()
                yield engine
                engine.close()
            assert blobs <= {path.name for path in copy.rglob("*") if path.is_file()}
            shutil.rmtree(copy)

    return opened


def read_back(engine, get, expected):
    """Return which objects are told to be damaged; all others are there and right."""
    found = {key: outcome(engine, get, key) for key in expected}
    errors = {key: found.pop(key) for key in expected if isinstance(found[key], IntegrityError)}
    assert {key: (error.bucket, error.key) for key, error in errors.items()} == {key: ("bucket", key) for key in errors}
    assert found == {key: data for key, data in expected.items() if key not in errors}
    return set(errors)


def outcome(engine, get, key):
    try:
        data = get(engine, key)
        return data if engine.head("bucket", key).size == len(data) else "another size"
    except IntegrityError as error:
        return error


@pytest.mark.slow
@pytest.mark.parametrize(("end", "name"), [("stop", "meta.db"), ("kill", "meta.db"), ("kill", "meta.db-wal")])
def test_a_flipped_bit_anywhere_in_the_index_gives_no_wrong_answer(
    flipped, flipped_states, get, end, name, thorough, caplog, request
):
    expected, _ = flipped_states
    refused = damaged = dropped = 0
    count = 300 if thorough else 24
    for engine in flipped(end, name, random.Random(request.node.name), count):
        if engine is None:
            refused += 1
            continue
        is_told = any(finding.kind == "dropped" for finding in engine.maintenance.fsck())
        damaged += len(read_back(engine, get, expected))
        keys = {info.key for info in engine.page(ListQuery(bucket="bucket", limit=1000)).objects}
        assert expected.keys() - keys == set()
        assert is_told == ("they are dropped" in caplog.text)
        assert is_told or LAST in keys
        dropped += is_told
        caplog.clear()
    print(f"{count} bits flipped in {name} after a {end}: {refused} refused, {damaged} damaged, {dropped} dropped")

    assert refused
    assert dropped < count // 2
