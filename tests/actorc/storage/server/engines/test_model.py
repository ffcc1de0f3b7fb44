"""The service over the durable engine, compared with a dict through puts, parts, copies, deletes, time and crashes."""

from __future__ import annotations

import random
import shutil
import tempfile
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from fastcrc import crc32
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UploadNotFoundError,
)
from actorc.storage.models import ANY, ByteRange, Chunk, Condition, ObjectAttributes
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import FsOps, LocalEngine
from actorc.storage.server.store.store import ObjectStore

MiB = 1 << 20
RETAINED = 15 * 60
WEEK = 7 * 24 * 3600
SIZES = [0, 1, 100, 16 * 1024, 16 * 1024 + 1, 40_000, MiB + 1]

buckets = st.sampled_from(["one", "two"])
keys = st.sampled_from(["a", "a/b", "a/b/c", "a0", "b/", "é/x"])
ttls = st.sampled_from([None, None, 60, 3600])
contents = st.tuples(st.sampled_from(SIZES), st.integers(0, 1000)).map(lambda it: random.Random(it[1]).randbytes(it[0]))
demands = st.sampled_from(["nothing", "nothing", "absent", "match", "mismatch"])


@dataclass
class Version:
    data: bytes
    content_type: str
    generation: int
    etag: str
    gone_at: float
    until: float = 0.0  # while it can be read although it was replaced


@dataclass
class Entry:
    present: Version
    old: list[Version] = field(default_factory=list)


@dataclass
class Sent:
    bucket: str
    key: str
    ttl: int | None
    touched: float
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class RoomyDisk(FsOps):
    """The real disk, never short of room, so that retention does not depend on the machine."""

    def free_fraction(self, path):
        return 0.5


def crc(data):
    return crc32.iscsi(data)


def pieces(data, size):
    return [Chunk(at, data[at : at + size], crc(data[at : at + size])) for at in range(0, len(data), size)]


def fill(begun, data):
    """Send `data` in pieces and commit."""
    with begun as upload:
        for chunk in pieces(data, 300_000):
            upload.write(chunk)
        return upload.commit(size=len(data), crc32c=crc(data))


class StoreMachine(RuleBasedStateMachine):
    """Every rule does one thing to the store and the same to the dict."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="storage-model-"))
        self.lives = 0
        self.now = 1_700_000_000.0
        self.objects = {}
        self.gone = []
        self.sent = {}
        self.open()
        for bucket in ("one", "two"):
            self.store.create_bucket(bucket)

    @property
    def directory(self):
        return self.root / f"life-{self.lives}"

    def open(self):
        self.engine = LocalEngine(
            self.directory, fsops=RoomyDisk(), clock=lambda: self.now, sweep_interval=None, upload_ttl=WEEK
        )
        self.store = ObjectStore(self.engine, clock=lambda: self.now)

    def live(self, bucket, key):
        entry = self.objects.get((bucket, key))
        if entry and entry.present.gone_at <= self.now:
            self.drop(bucket, key)
            return None
        return entry

    def drop(self, bucket, key):
        entry = self.objects.pop((bucket, key), None)
        for version in (*entry.old, entry.present) if entry else ():
            self.gone.append((bucket, key, version.generation))

    def condition(self, demand, bucket, key):
        """Return a condition, and the error it must end in."""
        entry = self.live(bucket, key)
        if demand == "absent":
            return Condition(if_absent=True), AlreadyExistsError if entry else None
        if demand == "match" and entry:
            return Condition(if_match=entry.present.etag), None
        if demand in {"match", "mismatch"}:
            return Condition(if_match="other"), PreconditionFailedError
        return ANY, None

    def written(self, info, data, content_type, ttl):
        assert (info.size, info.crc32c, info.content_type) == (len(data), crc(data), content_type)
        gone_at = float("inf") if ttl is None else self.now + ttl
        version = Version(data, content_type, info.generation, info.etag, gone_at)
        before = self.live(info.bucket, info.key)
        kept = []
        if before:
            assert before.present.generation < info.generation
            before.present.until = self.now + RETAINED
            kept = [*before.old, before.present]
        self.objects[info.bucket, info.key] = Entry(version, kept)

    def do(self, act, error):
        """Return what `act` returns, twice the same; or None because it fails with `error`."""
        if error is None:
            answer = act()
            assert answer == act()
            return answer
        with pytest.raises(error):
            act()
        return None

    @rule(bucket=buckets, key=keys, data=contents, ttl=ttls, demand=demands, how=st.sampled_from(["put", "stream"]))
    def write(self, bucket, key, data, ttl, demand, how):
        condition, error = self.condition(demand, bucket, key)
        content_type = f"text/x-{how}"
        options = {
            "attributes": ObjectAttributes(content_type=content_type, ttl=ttl),
            "condition": condition,
            "idempotency_key": uuid.uuid4().hex,
        }

        def act():
            if how == "put" and len(data) <= MiB:
                return self.store.put(bucket, key, data, crc(data), **options)
            begun = self.store.begin_write(bucket, key, declared_size=len(data), check_early=False, **options)
            return fill(begun, data)

        info = self.do(act, error)
        if info:
            self.written(info, data, content_type, ttl)

    @rule(
        name=st.tuples(buckets, keys, ttls),
        new=st.booleans(),
        parts=st.dictionaries(st.integers(1, 4), contents, max_size=3),
        draw=st.data(),
    )
    def send_parts(self, name, new, parts, draw):
        """Begin an upload, or go on with one, and send some parts."""
        upload_id = self.begin(*name) if new or not self.sent else draw.draw(st.sampled_from(sorted(self.sent)))
        upload = self.sent[upload_id]
        for number, data in parts.items():
            call = uuid.uuid4().hex
            info = self.do(lambda call=call, number=number, data=data: self.part(upload_id, number, data, call), None)
            assert (info.number, info.size) == (number, len(data))
            upload.parts[number] = info.etag, data
            upload.touched = self.now

    def begin(self, bucket, key, ttl):
        call, attributes = uuid.uuid4().hex, ObjectAttributes(content_type="text/x-parts", ttl=ttl)
        upload_id = self.do(
            lambda: self.store.multipart.create(bucket, key, attributes=attributes, idempotency_key=call), None
        )
        assert upload_id not in self.sent
        self.sent[upload_id] = Sent(bucket, key, ttl, self.now)
        return upload_id

    def part(self, upload_id, number, data, call):
        upload = self.sent[upload_id]
        begun = self.store.multipart.begin_part(upload.bucket, upload.key, upload_id, number, idempotency_key=call)
        return fill(begun, data)

    @precondition(lambda self: self.sent)
    @rule(
        draw=st.data(),
        how=st.sampled_from(["all", "all", "some", "abort"]),
        added=st.sampled_from([set(), set(), {9}]),
        demand=demands,
    )
    def end_upload(self, draw, how, added, demand):
        upload_id = draw.draw(st.sampled_from(sorted(self.sent)))
        upload, call = self.sent[upload_id], uuid.uuid4().hex
        if how == "abort":
            del self.sent[upload_id]
            for _ in range(2):
                self.store.multipart.abort(upload.bucket, upload.key, upload_id)
            return
        chosen = sorted(upload.parts.keys() - ({1, 3} if how == "some" else set()) | added)
        condition, error = self.condition(demand, upload.bucket, upload.key)
        error = InvalidParameterError if added or not chosen else error
        parts = [PartChoice(number, upload.parts.get(number, ("",))[0]) for number in chosen]
        complete = partial(
            self.store.multipart.complete, upload.bucket, upload.key, upload_id, parts, condition=condition
        )
        info = self.do(lambda: complete(idempotency_key=call), error)
        if info:
            del self.sent[upload_id]
            whole = b"".join(upload.parts[number][1] for number in chosen)
            self.written(info, whole, "text/x-parts", upload.ttl)
            with pytest.raises(UploadNotFoundError):
                complete()

    @rule(source=st.tuples(buckets, keys), bucket=buckets, key=keys, ttl=ttls, demand=demands, renamed=st.booleans())
    def copy(self, source, bucket, key, ttl, demand, renamed):
        entry = self.live(*source)
        condition, error = self.condition(demand, bucket, key)
        options = {
            "attributes": ObjectAttributes(content_type="text/x-copy") if renamed else None,
            "condition": condition,
            "ttl": ttl,
            "idempotency_key": uuid.uuid4().hex,
        }
        of = CopySource(bucket=source[0], key=source[1], generation=entry.present.generation if entry else None)
        info = self.do(lambda: self.store.copy(of, bucket, key, **options), error if entry else ObjectNotFoundError)
        if info:
            content_type = "text/x-copy" if renamed else entry.present.content_type
            self.written(info, entry.present.data, content_type, ttl)

    @rule(bucket=buckets, wanted=st.lists(keys, min_size=1, max_size=4), demand=demands, batch=st.booleans())
    def delete(self, bucket, wanted, demand, batch):
        call = uuid.uuid4().hex
        if batch:
            expected = [(key, self.live(bucket, key) is not None, None) for key in dict.fromkeys(wanted)]
            results = self.do(
                lambda: self.store.delete_many(bucket, list(dict.fromkeys(wanted)), idempotency_key=call), None
            )
            assert [(result.key, result.deleted, result.error) for result in results] == expected
            for key in wanted:
                self.drop(bucket, key)
            return
        condition, error = self.condition(demand.replace("absent", "nothing"), bucket, wanted[0])
        existed = self.do(
            lambda: self.store.delete(bucket, wanted[0], condition=condition, idempotency_key=call), error
        )
        if error is None:
            assert existed == (self.live(bucket, wanted[0]) is not None)
            self.drop(bucket, wanted[0])

    @rule(bucket=buckets, key=keys, offset=st.integers(0, 2 * MiB), length=st.none() | st.integers(0, 2 * MiB))
    def read(self, bucket, key, offset, length):
        entry = self.live(bucket, key)
        if entry is None:
            with pytest.raises(ObjectNotFoundError), self.store.read(bucket, key):
                pass
            return
        data = entry.present.data
        offset = min(offset, len(data))
        with self.store.read(bucket, key, [ByteRange(offset, length)]) as (info, chunks):
            found = b""
            for chunk in chunks:
                assert (chunk.offset, chunk.crc32c) == (offset + len(found), crc(chunk.data))
                found += chunk.data
        assert info.etag == entry.present.etag
        assert found == (data[offset:] if length is None else data[offset : offset + length])

    @rule(draw=st.data())
    def read_pinned(self, draw):
        """What was replaced is readable for a while, what is gone is not."""
        versions = [
            (*name, version) for name in list(self.objects) if (entry := self.live(*name)) for version in entry.old
        ]
        for bucket, key, version in versions:
            if version.until > self.now and version.gone_at > self.now:
                with self.store.read(bucket, key, generation=version.generation) as (_, chunks):
                    assert b"".join(chunk.data for chunk in chunks) == version.data
            else:
                self.gone.append((bucket, key, version.generation))
        if self.gone:
            bucket, key, generation = draw.draw(st.sampled_from(self.gone[-20:]))
            with pytest.raises(ObjectNotFoundError), self.store.read(bucket, key, generation=generation):
                pass

    @rule(
        bucket=buckets,
        prefix=st.sampled_from(["", "a", "a/", "é", "zz"]),
        delimiter=st.sampled_from(["", "/", "b"]),
        limit=st.integers(1, 4),
    )
    def list(self, bucket, prefix, delimiter, limit):
        expected = set()
        for in_bucket, key in list(self.objects):
            if in_bucket == bucket and key.startswith(prefix) and self.live(bucket, key):
                at = key.find(delimiter, len(prefix)) if delimiter else -1
                expected.add(key if at < 0 else key[: at + len(delimiter)])
        found, token = [], ""
        while True:
            page = self.store.page(bucket, prefix=prefix, delimiter=delimiter, page_size=limit, page_token=token)
            some = [info.key for info in page.objects] + list(page.common_prefixes)
            found += sorted(some, key=str.encode)
            token = page.next_after
            if not token:
                break
            assert len(some) == limit
        assert found == sorted(expected, key=str.encode)

    @rule(bucket=buckets)
    def make_anew(self, bucket):
        """Remove a bucket, if no object in it is alive, and make it again."""
        call = uuid.uuid4().hex
        is_taken = any(self.live(*name) for name in list(self.objects) if name[0] == bucket)
        self.do(
            lambda: self.store.delete_bucket(bucket, idempotency_key=call), BucketNotEmptyError if is_taken else None
        )
        if not is_taken:
            self.sent = {upload_id: sent for upload_id, sent in self.sent.items() if sent.bucket != bucket}
            self.store.create_bucket(bucket)

    @rule(seconds=st.sampled_from([0.5, 59, 61, 900, 3600]))
    def wait(self, seconds):
        self.now += seconds

    @rule(what=st.sampled_from(["sweep", "restart", "crash", "crash"]), data=contents)
    def disturb(self, what, data):
        if what == "sweep":
            self.engine.sweep()
            self.check_totals_of_the_living()
        elif what == "restart":
            self.engine.close()
            self.open()
        else:
            self.crash(data)

    def crash(self, data):
        """Go on with what a killed process would have left behind, a write under way included."""
        with self.store.begin_write("one", "a") as upload:
            for chunk in pieces(data, MiB):
                upload.write(chunk)
            left = self.directory
            self.lives += 1
            shutil.copytree(left, self.directory)
        self.engine.close()
        shutil.rmtree(left)
        self.open()

    @invariant()
    def what_is_there_is_what_should_be(self):
        for bucket, key in list(self.objects):
            entry = self.live(bucket, key)
            if entry:
                info = self.store.head(bucket, key)
                assert (info.etag, info.size) == (entry.present.etag, len(entry.present.data))
        for bucket in ("one", "two"):
            uploads, _ = self.store.multipart.page(bucket)
            expected = {upload_id for upload_id, sent in self.sent.items() if sent.bucket == bucket}
            assert {upload.upload_id for upload in uploads} == expected

    @invariant()
    def what_is_counted_is_what_counting_finds(self):
        with self.engine._index.reading() as connection:
            found = connection.execute(
                "SELECT name, count(key), coalesce(sum(size), 0) FROM bucket LEFT JOIN object ON bucket_id = id"
                " GROUP BY name ORDER BY name"
            ).fetchall()
        assert self.engine.bucket_totals() == found

    def check_totals_of_the_living(self):
        sizes = {"one": [], "two": []}
        for name in list(self.objects):
            if entry := self.live(*name):
                sizes[name[0]].append(len(entry.present.data))
        assert self.engine.bucket_totals() == [(bucket, len(of), sum(of)) for bucket, of in sorted(sizes.items())]

    def teardown(self):
        self.engine.sweep()
        self.check_totals_of_the_living()
        findings = self.engine.maintenance.fsck()
        for bucket, key in list(self.objects):
            self.read(bucket, key, 0, None)
        self.engine.close()
        shutil.rmtree(self.root)
        assert findings == []


@pytest.mark.slow
@pytest.mark.timeout(600)  # shrinking a failure takes minutes
class TestStore(StoreMachine.TestCase):
    settings = settings(stateful_step_count=40, suppress_health_check=list(HealthCheck))
