"""The data directory, and what the local engine does about threads, leftovers and its own end."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import AlreadyExistsError, IntegrityError, StorageError
from actorc.storage.models import Condition, ListQuery, SmallObject
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local import INLINE_MAX, LocalEngine
from actorc.storage.server.engines.local.index.changes.group_commit import GroupCommit

LARGE = INLINE_MAX + 1


def test_what_was_acknowledged_is_there_after_a_restart(open_local, put, get, clock):
    engine = open_local()
    engine.create_bucket("bucket")
    infos = [put(engine, "small", b"1", metadata={"a": "ä"}), put(engine, "large", bytes(LARGE))]
    replaced = put(engine, "other", b"1")
    put(engine, "other", b"2", idempotency_key="call")
    engine.close()
    clock.now -= 1000

    engine = open_local()

    assert infos == [engine.head("bucket", "small"), engine.head("bucket", "large")]
    assert bytes(LARGE) == get(engine, "large")
    assert get(engine, "other", generation=replaced.generation) == b"1"
    assert engine.head("bucket", "other") == put(engine, "other", b"2", idempotency_key="call")
    assert engine.head("bucket", "other").generation < put(engine, "new").generation


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_in_the_place_of_a_blob_is_told_at_once(local, put, get, tmp_path, make):
    put(local, "key", bytes(LARGE))
    (blob,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    blob.unlink()
    make(blob)

    with pytest.raises(IntegrityError, match="missing") as refused:
        get(local, "key")

    assert (refused.value.bucket, refused.value.key) == ("bucket", "key")
    assert ("damaged", "key") in [(each.kind, each.subject) for each in local.maintenance.fsck()]
    assert local.maintenance.scrub().damaged == 1


def test_generations_grow_over_a_restart_even_if_the_last_object_is_gone(open_local, put, clock):
    engine = open_local()
    engine.create_bucket("bucket")
    last = put(engine, "key")
    engine.delete("bucket", "key")
    engine.close()
    clock.now -= 1000

    assert last.generation < put(open_local(), "key").generation


def test_everything_is_in_the_database_file_after_close(open_local, put, files, tmp_path):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "key", b"1")
    engine.close()
    engine.close()

    assert files(tmp_path / "data" / "meta") == ["clean", "meta.db", "open.lock"]
    with pytest.raises(StorageError, match="closed"):
        engine.create_bucket("another")


def test_a_directory_belongs_to_one_engine(open_local, local, tmp_path):
    with pytest.raises(StorageError, match=f"in use by process {os.getpid()}"):
        open_local()

    local.close()
    open_local()


def test_the_layout_is_what_the_documents_say(local, put, tmp_path, files):
    put(local, "key", bytes(LARGE))
    root = tmp_path / "data"

    (blob,) = files(root / "blobs")

    assert sorted(path.name for path in root.iterdir()) == ["FORMAT", "LOCK", "blobs", "meta", "staging"]
    assert bytes(LARGE) == (root / "blobs" / blob[:2] / blob[2:4] / blob).read_bytes()[:LARGE]
    assert json.loads((root / "FORMAT").read_text())["format"] == 2


def test_an_unknown_format_is_refused(open_local, local, tmp_path):
    local.close()
    label = tmp_path / "data" / "FORMAT"
    label.chmod(0o600)
    label.write_text('{"format": 3, "store": "x"}')

    with pytest.raises(StorageError, match="data format 3"):
        open_local()

    label.write_text("{}")
    with pytest.raises(StorageError, match="damaged"):
        open_local()


def test_a_directory_that_holds_other_things_is_left_alone(open_local, tmp_path, files):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("dear")

    with pytest.raises(StorageError, match=r"thesis\.tex"):
        open_local()

    assert files(tmp_path / "data") == ["thesis.tex"]


def test_a_directory_that_holds_what_goes_with_a_server_is_taken(open_local, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("endpoint.json", "server.log", ".gitignore"):
        (tmp_path / "data" / name).touch()

    open_local().create_bucket("bucket")


def test_blobs_without_their_index_are_not_taken_for_garbage(open_local, local, put, tmp_path, files):
    put(local, "key", bytes(LARGE))
    local.close()
    (tmp_path / "data" / "meta" / "meta.db").unlink()

    with pytest.raises(StorageError, match="is missing"):
        open_local()

    assert len(files(tmp_path / "data" / "blobs")) == 1


def test_the_index_of_another_directory_is_refused(open_local, local, tmp_path):
    open_local("other").close()
    local.close()
    (tmp_path / "other" / "meta" / "meta.db").replace(tmp_path / "data" / "meta" / "meta.db")

    with pytest.raises(StorageError, match="another data directory"):
        open_local()


def test_orphans_are_put_away_and_blobs_on_their_way_are_not(open_local, disk, put, get, files, tmp_path):
    class Sweeping(type(disk)):
        engine = None

        def commit(self, connection):
            if self.engine:
                self.engine.maintenance.collector.sweep_orphans()
            super().commit(connection)

    sweeping = Sweeping()
    engine = open_local(fsops=sweeping)
    engine.create_bucket("bucket")
    put(engine, "old", bytes(LARGE))
    shard = tmp_path / "data" / "blobs" / "ab" / "cd"
    shard.mkdir(parents=True, exist_ok=True)
    (shard / ("abcd" + "0" * 28)).write_bytes(b"orphan")
    (shard / "notes").write_bytes(b"foreign")
    sweeping.engine = engine

    put(engine, "key", bytes(LARGE))

    sweeping.engine = None
    assert bytes(LARGE) == get(engine, "key") == get(engine, "old")
    assert len(files(tmp_path / "data" / "blobs")) == 3
    orphan = "abcd" + "0" * 28
    assert [(finding.kind, finding.subject) for finding in engine.maintenance.fsck()] == [
        ("leftover", "notes"),
        ("quarantined", orphan),
    ]
    assert (tmp_path / "data" / "quarantine" / "2023-11-14" / orphan).read_bytes() == b"orphan"


def test_the_thread_of_an_engine_sweeps_after_a_delete(open_local, put, files, tmp_path):
    others = set(threading.enumerate())
    engine = open_local(sweep_interval=3600)
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))

    engine.delete("bucket", "key")

    while files(tmp_path / "data" / "blobs") or engine.maintenance.fsck():
        pass
    engine.close()
    assert "storage-sweep" not in [thread.name for thread in set(threading.enumerate()) - others]


@pytest.mark.slow
def test_a_thousand_aborted_writers_leave_nothing_open(local, put, files, tmp_path, open_below):
    data = bytes(LARGE)
    put(local, "key", data)
    before, threads = open_below(tmp_path), set(threading.enumerate())

    for number in range(1000):
        with local.writer("bucket", "key", declared_size=LARGE if number % 2 else None) as writer:
            writer.write(data, crc32c(data))
        with local.read("bucket", "key") as reader:
            next(reader.chunks())

    assert open_below(tmp_path) == before
    assert set(threading.enumerate()) <= threads
    assert files(tmp_path / "data" / "staging") == []


class _Gate:
    """Holds the first commit until `count` changes wait behind it."""

    def __init__(self, disk, count):
        self.disk, self.count, self.engine, self.commits = disk, count, None, 0

    def __getattr__(self, name):
        return getattr(self.disk, name)

    def commit(self, connection):
        if self.engine is not None:
            self.commits += 1
            while self.commits == 1 and len(self.engine._index._idempotency.commits._waiting) < self.count:
                os.sched_yield()
        self.disk.commit(connection)


def test_changes_that_wait_share_one_commit_and_fail_alone(open_local, disk, put):
    gate = _Gate(disk, 7)
    engine = open_local(fsops=gate)
    engine.create_bucket("bucket")
    put(engine, "taken")
    gate.engine = engine

    def attempt(number):
        key = "taken" if number == 3 else f"key{number}"
        try:
            return put(engine, key, str(number).encode(), condition=Condition(if_absent=True))
        except AlreadyExistsError as error:
            return error.key

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(8)))

    assert gate.commits == 2
    assert results.pop(3) == "taken"
    assert results == [engine.head("bucket", info.key) for info in results]
    assert len(engine.page(ListQuery(bucket="bucket")).objects) == 8


def test_a_change_that_breaks_does_not_take_its_neighbours_along(local):
    def wrong(connection):
        connection.execute("DELETE FROM bucket")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        local._index._idempotency.commits.run(wrong)

    assert local.head_bucket("bucket").name == "bucket"
    assert local.healthy


def test_an_interrupt_behind_the_commit_keeps_the_object(open_local, disk, put, get, problems):
    class Interrupted(type(disk)):
        at = None

        def commit(self, connection):
            if self.at == "before":
                raise KeyboardInterrupt
            super().commit(connection)
            if self.at == "after":
                raise KeyboardInterrupt

    interrupted = Interrupted()
    engine = open_local(fsops=interrupted)
    engine.create_bucket("bucket")
    for moment in ("before", "after"):
        interrupted.at = moment
        with pytest.raises(KeyboardInterrupt):
            put(engine, moment, bytes(LARGE))
    interrupted.at = None
    engine.sweep()

    assert [info.key for info in engine.page(ListQuery(bucket="bucket")).objects] == ["after"]
    assert bytes(LARGE) == get(engine, "after")
    assert problems(engine) == []


def test_the_log_of_the_database_is_carried_over_now_and_then(open_local, disk, put, monkeypatch):
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 40)

    class Counting(type(disk)):
        modes = ()

        def checkpoint(self, connection, mode):
            self.modes = (*self.modes, mode)
            super().checkpoint(connection, mode)

    counting = Counting()
    engine = open_local(fsops=counting)
    engine.create_bucket("bucket")
    for number in range(30):
        put(engine, f"key{number}", b"data")

    assert 2 <= counting.modes.count("PASSIVE") <= 6
    engine.close()
    assert counting.modes[-1] == "TRUNCATE"


def test_the_log_is_carried_over_by_a_thread_and_by_callers_if_that_does_not_come(
    open_local, disk, put, problems, monkeypatch
):
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 40)

    class Watched(type(disk)):
        threads = ()

        def checkpoint(self, connection, mode):
            self.threads = (*self.threads, threading.current_thread().name)
            super().checkpoint(connection, mode)

    watched = Watched()
    engine = open_local(fsops=watched, sweep_interval=3600)
    engine.create_bucket("bucket")
    keys = (f"key{number}" for number in range(20_000))
    while "checkpointer" not in watched.threads:
        put(engine, next(keys), b"data")
    # it stands still from now on, and the log must not grow for ever
    engine._index.defer_checkpoints(lambda: None)
    before = len(watched.threads)
    while threading.current_thread().name not in watched.threads[before:]:
        put(engine, next(keys), b"data")
    engine.close()

    assert problems(open_local()) == []


def test_a_batch_leaves_the_log_to_a_thread_and_the_next_one_carries_it_over_if_that_does_not_come(
    open_local, disk, problems
):
    class Counting(type(disk)):
        count = 0

        def checkpoint(self, connection, mode):
            self.count += 1
            super().checkpoint(connection, mode)

    counting = Counting()
    engine = open_local(fsops=counting)
    engine.create_bucket("bucket")
    engine._index.defer_checkpoints(lambda: None)
    batch = [SmallObject(f"key{number}", b"data", crc32c(b"data")) for number in range(1000)]
    before, made = counting.count, []
    for number in range(4):
        engine.put_many("bucket", batch, idempotency_key=f"call{number}")
        made.append(counting.count - before)
    engine.close()

    assert made == [0, 1, 1, 2]
    assert problems(open_local()) == []


def test_the_room_for_replaced_objects_is_looked_at_once_for_a_batch_and_anew_for_the_next(open_local, disk):
    class Counting(type(disk)):
        looks = 0

        def free_fraction(self, path):
            self.looks += 1
            return super().free_fraction(path)

    counting = Counting()
    engine = open_local(fsops=counting)
    engine.create_bucket("bucket")
    batch = [SmallObject(f"key{number}", b"data", crc32c(b"data")) for number in range(20)]
    _, second, third = (engine.put_many("bucket", batch, idempotency_key=name) for name in "abc")
    kept = [engine.read("bucket", info.key, generation=info.generation).info for info in second]
    counting.free, looks = 0.0, counting.looks
    engine.put_many("bucket", batch, idempotency_key="d")

    assert (looks, counting.looks) == (2, 3)
    assert kept == second
    for info in third:
        with pytest.raises(StorageError):
            engine.read("bucket", info.key, generation=info.generation)


def test_closing_waits_for_a_commit_under_way(open_local, disk, put):
    class Slow(type(disk)):
        begun = threading.Event()
        finish = threading.Event()
        slow = False

        def commit(self, connection):
            if self.slow:
                self.begun.set()
                self.finish.wait()
            super().commit(connection)

    slow = Slow()
    engine = open_local(fsops=slow)
    engine.create_bucket("bucket")
    slow.slow = True

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(put, engine, "key", b"data")
        slow.begun.wait()
        closing = pool.submit(engine.close)
        while not engine._index._idempotency.commits._closed:
            os.sched_yield()
        assert not closing.done()
        slow.finish.set()

    slow.slow = False
    assert writing.result() == open_local().head("bucket", "key")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_page_costs_what_it_shows_whatever_lies_beneath(local, put):
    count = 200_000
    connection = local._index._idempotency.commits._connection
    row = (1, 10, 5, "text/plain", "{}", 0, None, 1)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO object VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((f"{number % 20:02}/{number // 20 % 50:02}/{number:07}".encode(), *row) for number in range(count)),
    )
    connection.execute("COMMIT")
    steps = 0

    def step():
        nonlocal steps
        steps += 1

    with local._index.reading() as reader:
        reader.set_progress_handler(step, 1000)
    for query in (
        ListQuery(bucket="bucket", delimiter="/"),
        ListQuery(bucket="bucket", delimiter="/", prefix="07/"),
        ListQuery(bucket="bucket", delimiter="/", prefix="07/03/", limit=100),
        ListQuery(bucket="bucket", after="12/", limit=100),
    ):
        steps = 0
        page = local.page(query)

        assert 0 < len(page.objects) + len(page.common_prefixes) <= 200
        assert steps < 25


def test_a_large_object_is_written_as_it_comes(local, files, tmp_path):
    data = bytes(MiB)
    with local.writer("bucket", "key") as writer:
        writer.write(b"x" * INLINE_MAX, crc32c(b"x" * INLINE_MAX))
        assert files(tmp_path / "data" / "staging") == []
        writer.write(data, crc32c(data))
        (staged,) = (tmp_path / "data" / "staging").iterdir()
        assert INLINE_MAX + MiB == staged.stat().st_size


def test_an_engine_is_made_where_no_directory_is(tmp_path):
    engine = LocalEngine(tmp_path / "a" / "b" / "data")
    engine.close()

    assert (tmp_path / "a" / "b" / "data" / "FORMAT").is_file()
