"""What has a time to live is gone for everybody when it is over, and so are uploads that nobody continues."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actorc.storage.errors import BucketNotEmptyError, ObjectNotFoundError, PreconditionFailedError, UploadNotFoundError
from actorc.storage.models import Condition, ListQuery, ObjectAttributes
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import INLINE_MAX
from actorc.storage.server.engines.local.index.index import Index

SMALL, LARGE = 10, INLINE_MAX + 1
DAY = 24 * 3600
ABSENT = Condition(if_absent=True)


def names(engine, **query):
    page = engine.page(ListQuery(bucket="bucket", **query))
    return [info.key for info in page.objects] + list(page.common_prefixes)


@pytest.mark.needs("ttl")
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_object_is_there_until_its_time_is_over(engine, put, get, clock, size):
    info = put(engine, "key", bytes(size), ttl=60)
    clock.now += 59.9
    assert bytes(size) == get(engine, "key", generation=info.generation)
    assert info.last_modified + timedelta(seconds=60) == info.expires_at == engine.head("bucket", "key").expires_at

    clock.now += 0.1

    for call in (
        lambda: engine.head("bucket", "key"),
        lambda: get(engine, "key"),
        lambda: get(engine, "key", generation=info.generation),
        lambda: engine.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy"),
    ):
        with pytest.raises(ObjectNotFoundError):
            call()
    with pytest.raises(PreconditionFailedError):
        engine.delete("bucket", "key", Condition(if_match=info.etag))
    assert names(engine) == []
    assert not engine.delete("bucket", "key")


@pytest.mark.needs("ttl")
def test_a_reader_that_was_open_reads_on(engine, put, clock):
    put(engine, "key", bytes(LARGE), ttl=60)

    with engine.read("bucket", "key") as reader:
        clock.now += 61
        put(engine, "key", b"new")

        assert bytes(LARGE) == b"".join(chunk.data for chunk in reader.chunks())


@pytest.mark.needs("ttl")
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_key_is_free_again_when_the_time_of_its_object_is_over(engine, put, get, clock, size):
    old = put(engine, "key", bytes(size), ttl=60)
    clock.now += 60

    new = put(engine, "key", b"new", condition=ABSENT)

    assert get(engine, "key") == b"new"
    assert new.expires_at is None
    with pytest.raises(ObjectNotFoundError):
        get(engine, "key", generation=old.generation)
    clock.now += 1000
    assert get(engine, "key") == b"new"


@pytest.mark.needs("ttl")
def test_a_put_without_a_ttl_clears_it_and_one_with_a_ttl_renews_it(engine, put, clock):
    put(engine, "stays", b"1", ttl=60)
    put(engine, "stays", b"2")
    put(engine, "longer", b"1", ttl=60)
    put(engine, "longer", b"2", ttl=120)
    clock.now += 100

    assert names(engine) == ["longer", "stays"]
    clock.now += 100
    assert names(engine) == ["stays"]


@pytest.mark.needs("ttl")
def test_a_copy_has_a_time_of_its_own(engine, put, get, clock):
    put(engine, "source", bytes(LARGE), ttl=60)
    source = CopySource(bucket="bucket", key="source")
    engine.copy(source, "bucket", "stays")
    engine.copy(source, "bucket", "longer", ttl=120)
    clock.now += 60

    assert names(engine) == ["longer", "stays"]
    assert bytes(LARGE) == get(engine, "longer")
    clock.now += 60
    assert names(engine) == ["stays"]
    assert bytes(LARGE) == get(engine, "stays")


@pytest.mark.needs("ttl")
def test_the_time_of_an_object_of_parts_counts_from_its_completion(engine, part, clock):
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes(ttl=60))
    stored = part(engine, upload_id, 1, b"data")
    clock.now += 1000

    info = engine.complete_upload("bucket", "key", upload_id, [PartChoice(1, stored.etag)])

    assert info.last_modified + timedelta(seconds=60) == info.expires_at
    clock.now += 60
    assert names(engine) == []


@pytest.mark.needs("ttl")
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_step_over_what_is_gone(engine, put, clock, delimiter):
    for number in range(30):
        put(engine, f"{number // 10}/{number:02}" if number % 2 else f"{number:02}", ttl=60 if number % 3 else 600)
    expected = [f"{number // 10}/{number:02}" if number % 2 else f"{number:02}" for number in range(0, 30, 3)]
    put(engine, "9/gone", ttl=60)
    clock.now += 60

    found, after = [], ""
    while True:
        page = engine.page(ListQuery(bucket="bucket", delimiter=delimiter, after=after, limit=2))
        some = [info.key for info in page.objects] + list(page.common_prefixes)
        assert len(some) == 2 or not page.next_after
        found += some
        after = page.next_after
        if not after:
            break

    rolled = {key[: key.index("/") + 1] if delimiter and "/" in key else key for key in expected}
    assert sorted(rolled) == sorted(found)


@pytest.mark.needs("ttl")
def test_a_bucket_of_objects_that_are_gone_is_empty(engine, put, clock):
    put(engine, "key", bytes(LARGE), ttl=60)
    put(engine, "other", bytes(SMALL), ttl=60)
    with pytest.raises(BucketNotEmptyError):
        engine.delete_bucket("bucket")
    clock.now += 60

    engine.delete_bucket("bucket")

    assert engine.buckets() == []


@pytest.mark.needs("ttl")
def test_a_batch_counts_what_is_gone_as_missing(engine, put, clock):
    put(engine, "gone", ttl=60)
    put(engine, "there")
    clock.now += 60

    assert [result.deleted for result in engine.delete_many("bucket", ["gone", "there"])] == [False, True]


@pytest.mark.parametrize("engine", ["memory", "local"], indirect=True)
def test_an_upload_stays_a_week_after_its_last_part(engine, part, clock):
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes())
    begun_only = engine.create_upload("bucket", "other", ObjectAttributes())
    clock.now += 6 * DAY
    stored = part(engine, upload_id, 1, bytes(LARGE))
    clock.now += 2 * DAY
    sweep(engine)

    assert [upload_id] == [upload.upload_id for upload in engine.list_uploads("bucket").uploads]
    with pytest.raises(UploadNotFoundError):
        part(engine, begun_only, 1, b"x", key="other")
    clock.now += 4 * DAY
    assert [stored] == engine.list_parts("bucket", "key", upload_id)
    clock.now += DAY
    sweep(engine)
    with pytest.raises(UploadNotFoundError):
        engine.complete_upload("bucket", "key", upload_id, [PartChoice(1, stored.etag)])


def sweep(engine):
    if engine.name == "local":
        engine.sweep()


def test_the_sweep_removes_what_is_gone(local, put, assemble, clock, files, tmp_path):
    put(local, "small", bytes(SMALL), ttl=60)
    put(local, "replaced", bytes(LARGE))
    put(local, "replaced", bytes(LARGE), ttl=60)
    assemble(local, "parts", [bytes(LARGE), bytes(SMALL), bytes(LARGE)], ttl=60)
    put(local, "stays", bytes(LARGE), ttl=61)
    clock.now += 60
    assert local.maintenance.fsck() == []

    local.sweep()

    assert len(files(tmp_path / "data" / "blobs")) == 1
    assert names(local) == ["stays"]
    assert local.maintenance.fsck() == []
    with local._index.reading() as connection:
        assert connection.execute(
            "SELECT (SELECT count(*) FROM object), (SELECT count(*) FROM content),"
            " (SELECT count(*) FROM segment), (SELECT count(*) FROM retained)"
        ).fetchone() == (1, 1, 0, 0)


def test_much_that_is_gone_is_swept_in_one_go(local, put, clock, monkeypatch):
    monkeypatch.setattr(Index, "batch", 3)
    for number in range(8):
        put(local, f"key{number}", ttl=60)
        local.create_upload("bucket", "key", ObjectAttributes())
    clock.now += 8 * DAY

    local.sweep()

    with local._index.reading() as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM object), (SELECT count(*) FROM upload)").fetchone() == (
            0,
            0,
        )


def test_the_age_of_abandoned_uploads_can_be_set(open_local, part, clock, files, tmp_path):
    engine = open_local(upload_ttl=60)
    engine.create_bucket("bucket")
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes())
    part(engine, upload_id, 1, bytes(LARGE))
    clock.now += 60

    engine.sweep()

    assert files(tmp_path / "data" / "blobs") == []
    assert engine.list_uploads("bucket").uploads == ()
    assert engine.maintenance.fsck() == []
