"""What is stored is read again, little by little, and damage is told before somebody needs the bytes."""

from __future__ import annotations

import logging
from itertools import islice

import pytest

from actorc.storage.rules import MiB

BIG = 3 * MiB + 5
DAY = 24 * 60 * 60


@pytest.fixture
def stored(local, put, assemble):
    put(local, "small", b"data")
    put(local, "large", bytes(BIG))
    assemble(local, "parts", [bytes(MiB), b"end"])
    return local


def flip(tmp_path, size):
    """Change one bit of the blob with a payload of this size."""
    blobs = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    (blob,) = [path for path in blobs if path.read_bytes().rfind(b'{"kind"') == size]
    data = bytearray(blob.read_bytes())
    data[size // 2] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(data)
    return blob


def damage_index(engine, tmp_path):
    engine._index.checkpoint()
    database = tmp_path / "data" / "meta" / "meta.db"
    content = bytearray(database.read_bytes())
    content[content.rindex(b"small") + 1] ^= 1
    database.write_bytes(content)


def test_a_pass_reads_every_byte_and_is_remembered(stored, open_local, clock):
    sizes = list(stored.maintenance.scrubber.blocks())
    stored.close()

    progress = open_local().maintenance.scrubber.progress()
    assert sum(sizes) == 4 + BIG + MiB + 3
    assert (progress.passes, progress.content, progress.damaged) == (1, 0, 0)
    assert progress.began_us == clock.now * 1_000_000


def test_reading_goes_on_where_it_was_before_a_restart(stored, open_local):
    blocks = stored.maintenance.scrubber.blocks()
    first = list(islice(blocks, 2))
    blocks.close()
    stored.close()

    rest = list(open_local().maintenance.scrubber.blocks())

    assert first == [4, MiB]
    assert sum(rest) == BIG - MiB + MiB + 3


def test_a_pass_reads_the_index_too_and_tells_of_its_damage(stored, tmp_path, caplog):
    damage_index(stored, tmp_path)

    progress = stored.maintenance.scrub()

    assert progress.damaged
    assert stored.damaged == progress.damaged
    assert "the index is damaged on the disk" in caplog.text


def test_a_long_pass_reads_the_index_once_a_day(stored, tmp_path, clock):
    blocks = stored.maintenance.scrubber.blocks()
    next(blocks)
    damage_index(stored, tmp_path)
    next(blocks)
    clock.now += DAY
    list(blocks)

    assert stored.maintenance.scrubber.progress().damaged > 0


@pytest.mark.parametrize("passed", [DAY, -365 * DAY], ids=["a day later", "a clock set back"])
def test_between_two_passes_the_index_is_read_once_a_day(open_local, put, tmp_path, clock, passed):
    engine = open_local(scrub_days=30)
    engine.create_bucket("bucket")
    put(engine, "small", b"data")
    scrubber = engine.maintenance.scrubber
    scrubber.stop()  # its own thread would read beside this one
    engine.maintenance.scrub()
    damage_index(engine, tmp_path)
    scrubber._pass()
    assert scrubber.progress().damaged == 0
    clock.now += passed

    scrubber._pass()

    assert scrubber.progress().damaged > 0


def test_damage_is_counted_and_told_with_the_name_of_the_object(stored, tmp_path, caplog, files):
    flip(tmp_path, BIG)
    before = files(tmp_path / "data" / "blobs")

    progress = stored.maintenance.scrub()

    assert (progress.passes, progress.damaged) == (1, 1)
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "block 1 is damaged on the disk, bucket='bucket' key='large'" in told
    assert before == files(tmp_path / "data" / "blobs")
    assert stored.head("bucket", "large").size == BIG


def test_damage_within_an_object_of_parts_names_the_object(stored, tmp_path, caplog):
    flip(tmp_path, MiB)

    assert stored.maintenance.scrub().damaged == 1
    assert "key='parts'" in caplog.text


def test_a_lost_file_is_damage(stored, tmp_path, caplog):
    flip(tmp_path, BIG).unlink()

    assert stored.maintenance.scrub().damaged == 1
    assert "key='large'" in caplog.text


def test_damage_counts_in_every_pass(stored, tmp_path):
    flip(tmp_path, BIG)
    stored.maintenance.scrub()

    assert stored.maintenance.scrub().damaged == 2


def test_what_is_deleted_while_it_is_read_is_no_damage(stored, caplog):
    blocks = stored.maintenance.scrubber.blocks()
    list(islice(blocks, 2))
    stored.delete("bucket", "large")
    stored.sweep()
    rest = list(blocks)

    assert sum(rest) == MiB + 3
    assert stored.maintenance.scrubber.progress().damaged == 0


def test_the_rate_makes_a_pass_take_its_days_at_most(open_local, disk, put):
    class Used(type(disk)):
        def used(self, path):
            assert super().used(path) > 0
            return 30 * DAY * 1000

    engine = open_local(fsops=Used(), scrub_days=30)

    assert engine.maintenance.scrubber._rate() == 1000


def test_a_pass_that_is_done_is_followed_by_another_one_in_time(open_local, clock):
    engine = open_local(scrub_days=30)
    engine.maintenance.scrubber.stop()  # its own thread would read beside this one
    done = engine.maintenance.scrub().passes

    clock.now += 30 * DAY - 10
    assert engine.maintenance.scrubber._pass() == pytest.approx(10)
    assert engine.maintenance.scrubber.progress().passes == done
    clock.now += 10
    engine.maintenance.scrubber._pass()
    assert engine.maintenance.scrubber.progress().passes == done + 1


def test_the_thread_of_an_engine_reads(open_local, put):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "key", b"data")
    engine.close()

    engine = open_local(scrub_days=1e-9)

    while not engine.maintenance.scrubber.progress().passes:
        pass
