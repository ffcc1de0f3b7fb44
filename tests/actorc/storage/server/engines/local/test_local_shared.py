"""Several engines of a group on one data directory, as the workers of a server have them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import AlreadyExistsError, InvalidParameterError, ReadOnlyError, StorageError
from actorc.storage.models import ANY, Condition, ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.engines import open_engine, share_engine
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.local import LocalEngine, Retention

LARGE = 100_000
OLD = 1_600_000_000

WRITER = """
import os, sys
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import AlreadyExistsError
from actorc.storage.models import Condition, ObjectAttributes
from actorc.storage.server.engines.local import LocalEngine

path, lock, mode, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
engine = LocalEngine(path, group=lock, sweep_interval=0.05)
print("open", flush=True)
sys.stdin.readline()
for number in range(count):
    key = f"{number}" if mode == "race" else f"{os.getpid()}-{number}"
    data = os.urandom(200 if number % 2 else 50_000)
    condition = Condition(if_absent=True)
    try:
        with engine.writer("bucket", key) as writer:
            writer.write(data, crc32c(data))
            print(writer.commit(ObjectAttributes(), condition).generation, flush=True)
    except AlreadyExistsError:
        print("taken", flush=True)
engine.close()
"""


def test_what_one_engine_writes_the_other_one_reads(pair, put, get):
    first, second = pair
    put(first, "small", b"data")
    put(first, "large", bytes(LARGE))

    assert (b"data", bytes(LARGE)) == (get(second, "small"), get(second, "large"))
    assert second.maintenance.fsck() == []


def test_generations_grow_over_all_engines_of_a_group(pair, put):
    generations = [put(pair[number % 2], "key").generation for number in range(10)]

    assert sorted(set(generations)) == generations


def test_a_call_that_is_repeated_elsewhere_gets_the_first_answer(pair, put, get):
    first, second = pair
    before = put(first, "key", b"data", idempotency_key="once")
    put(first, "key", b"later")

    assert before == put(second, "key", b"data", idempotency_key="once")
    assert get(first, "key") == b"later"


def test_an_upload_may_have_its_parts_from_anywhere(pair, part, get):
    first, second = pair
    upload_id = first.create_upload("bucket", "key", ObjectAttributes())
    parts = [part(engine, upload_id, number, bytes(LARGE)) for number, engine in enumerate(pair, 1)]

    second.complete_upload("bucket", "key", upload_id, [PartChoice(one.number, one.etag) for one in parts])

    assert bytes(2 * LARGE) == get(first, "key")
    assert first.maintenance.fsck() == []


def test_retained_bytes_are_limited_together(group, put, get):
    engines = [group(retention=Retention(max_bytes=3 * LARGE)) for _ in range(2)]
    generations = [put(engines[number % 2], "key", bytes(LARGE)).generation for number in range(6)]

    for engine in engines:
        assert bytes(LARGE) == get(engine, "key", generation=generations[2])
        with pytest.raises(StorageError, match="is gone"):
            get(engine, "key", generation=generations[1])
    engines[1].sweep()
    assert engines[0].maintenance.fsck() == []


def test_what_another_engine_is_about_to_commit_is_no_orphan(group, put, get, disk, files, tmp_path):
    other = group()

    class Sweeping(type(disk)):
        swept = 0

        def commit(self, connection):
            # the other engine writes to the index as well when it sweeps all
            other.maintenance.collector.sweep_orphans()
            self.swept += 1
            super().commit(connection)

    sweeping = Sweeping()
    engine = group(fsops=sweeping)
    put(engine, "key", bytes(LARGE))

    assert sweeping.swept
    assert bytes(LARGE) == get(other, "key")


def test_staging_of_the_living_is_left_alone_and_that_of_the_dead_is_not(group, files, tmp_path):
    first = group()
    staging = tmp_path / "data" / "staging"
    data = bytes(MiB)
    with first.writer("bucket", "key", declared_size=MiB) as writer:
        writer.write(data, crc32c(data))
        (living,) = staging.iterdir()
        (staging / "dead").write_bytes(b"")
        (staging / "newborn").write_bytes(b"")
        for path in (living, staging / "dead"):
            os.utime(path, (OLD, OLD))
        group().sweep()

        assert sorted([living.name, "newborn"]) == files(staging)
        writer.commit(ObjectAttributes())

    assert first.head("bucket", "key").size == MiB


def test_one_engine_leads_until_it_ends(group):
    first, second = group(), group()

    assert (first.maintenance.lock.held(), second.maintenance.lock.held()) == (True, False)
    first.close()
    assert second.maintenance.lock.held()


def test_an_engine_that_is_read_only_leads_no_more_and_the_others_go_on(group, disk, put, get):
    class Failing(type(disk)):
        broken = False

        def commit(self, connection):
            if self.broken:
                raise OSError(errno.EIO, "Input/output error")
            super().commit(connection)

    failing = Failing()
    first, second = group(fsops=failing), group()
    assert first.maintenance.lock.held()
    failing.broken = True
    with pytest.raises(StorageError):
        put(first, "key", b"lost")
    failing.broken = False

    with pytest.raises(ReadOnlyError, match="read-only"):
        put(first, "key", b"refused")
    put(second, "key", b"data")

    assert (first.healthy, second.healthy) == (False, True)
    assert get(first, "key") == b"data"
    assert (first.maintenance.lock.held(), second.maintenance.lock.held()) == (False, True)


def test_a_woken_engine_sweeps_whoever_leads(group, put, files, tmp_path):
    assert group().maintenance.lock.held()
    other = group(sweep_interval=3600)
    put(other, "key", bytes(LARGE))

    other.delete("bucket", "key")

    while files(tmp_path / "data" / "blobs"):
        pass


def test_the_directory_is_refused_to_others_until_the_last_one_of_the_group_is_gone(group, tmp_path):
    member = group()
    for _ in range(2):
        with pytest.raises(StorageError, match=f"in use by process {os.getpid()}"):
            LocalEngine(tmp_path / "data")
    member.close()

    with pytest.raises(StorageError, match="in use"):
        LocalEngine(tmp_path / "data")


def test_a_group_has_one_directory_only(group, tmp_path):
    LocalEngine(tmp_path / "other", sweep_interval=None).close()

    with pytest.raises(StorageError, match="is not the directory that was shared"):
        LocalEngine(tmp_path / "other", group=os.dup(group.lock))


def test_an_engine_that_lives_in_one_process_is_not_shared():
    with pytest.raises(InvalidParameterError, match="lives in one process"):
        share_engine("memory://")


def test_a_shared_engine_is_opened_by_its_url(tmp_path):
    url = (tmp_path / "data").as_uri()
    lock = share_engine(url)
    engines = [open_engine(url, group=os.dup(lock)) for _ in range(2)]
    engines[0].create_bucket("bucket")

    assert [bucket.name for bucket in engines[1].buckets()] == ["bucket"]
    for engine in engines:
        engine.close()
    os.close(lock)
    open_engine(url).close()


@pytest.mark.slow
def test_sixteen_writers_of_two_engines_have_one_winner(pair, put):
    ready = Barrier(16)

    def write(number):
        ready.wait()
        try:
            return put(pair[number % 2], "key", f"{number}".encode(), condition=Condition(if_absent=True))
        except AlreadyExistsError:
            return None

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(write, range(16)))

    (winner,) = [result for result in results if result]
    assert winner == pair[0].head("bucket", "key") == pair[1].head("bucket", "key")


@pytest.fixture
def writers(group, tmp_path):
    """Run processes that write, all beginning together; return the lines that each printed."""

    def run(mode, count, processes=3):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "data"), str(group.lock), mode, str(count)]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        running = [subprocess.Popen(command, pass_fds=[group.lock], text=True, **pipes) for _ in range(processes)]
        opened = [process.stdout.readline() for process in running]
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0].split() for process in running]
        assert opened == ["open\n"] * processes
        assert [process.returncode for process in running] == [0] * processes
        return said

    return run


@pytest.mark.thorough
@pytest.mark.slow
def test_processes_number_generations_without_a_double(writers, group):
    said = writers("apart", 60)

    assert all(sorted(lines, key=int) == lines for lines in said)
    assert len({line for lines in said for line in lines}) == 3 * 60
    assert group().maintenance.fsck() == []


@pytest.mark.slow
def test_of_processes_that_write_if_absent_one_wins_each_key(writers, group, thorough):
    said = writers("race", 40, processes=3 if thorough else 2)

    winners = [sum(line != "taken" for line in lines) for lines in zip(*said, strict=True)]
    assert winners == [1] * 40
    engine = group()
    engine.sweep()
    assert engine.maintenance.fsck() == []


def test_leaving_a_group_changes_nothing_for_the_others(pair, put, get):
    first, second = pair
    put(first, "key", b"data", condition=ANY)
    first.close()

    put(second, "other", bytes(LARGE))

    assert (b"data", bytes(LARGE)) == (get(second, "key"), get(second, "other"))
