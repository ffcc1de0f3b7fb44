"""Who is under test: every engine, behind every face. The contract sees one surface and never looks inside."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import ExitStack, closing, contextmanager
from functools import cache

import pytest

from actorc.storage import AsyncStorageClient, NotFoundError, StorageClient, rules
from actorc.storage._rpc import result_dicts
from actorc.storage._rpc.payload import SourceFailedError, Upload
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import Condition, ObjectAttributes
from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing import local_server

ENGINES = ["memory", "local", "remote", *(["ceph"] if os.environ.get("LUCAS_STORAGE_TEST_S3") else [])]
FACES = ["store", "client", "async"]


class StoreFace:
    """The rules of the service, called directly, under the names of the client."""

    def __init__(self, store):
        self._store = store

    def put_object(
        self, bucket, key, data, content_type=None, metadata=None, *, if_absent=False, if_match=None, ttl=None
    ):
        options = {
            "attributes": attributes_of(content_type, metadata, ttl),
            "condition": rules.check_condition(if_absent=if_absent, if_match=if_match),
        }
        if len(data) > rules.MAX_INLINE_SIZE:
            return result_dicts.put_result(fill(self._store.begin_write(bucket, key, **options), data))
        return result_dicts.put_result(self._store.put(bucket, key, bytes(data), crc32c(bytes(data)), **options))

    def upload_from_stream(self, bucket, key, stream, *, if_absent=False, if_match=None, ttl=None):
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        attributes = attributes_of(None, None, ttl)
        return result_dicts.put_result(
            fill(self._store.begin_write(bucket, key, attributes=attributes, condition=condition), stream)
        )

    def stream_object(self, bucket, key, *, offset=0, length=None, generation=None, if_match=None):
        part = rules.check_range(offset, length)
        with self._store.read(bucket, key, ranges=[part], generation=generation, if_match=if_match) as (_, chunks):
            for chunk in chunks:
                assert crc32c(chunk.data) == chunk.crc32c
                yield bytes(chunk.data)

    def get_object(self, bucket, key, **options):
        return b"".join(self.stream_object(bucket, key, **options))

    def head_object(self, bucket, key):
        return result_dicts.object_head(self._store.head(bucket, key))

    def object_exists(self, bucket, key):
        try:
            self._store.head(bucket, key)
        except NotFoundError:
            return False
        return True

    def delete_object(self, bucket, key, *, if_match=None):
        self._store.delete(bucket, key, condition=Condition(if_match=if_match))

    def delete_objects(self, bucket, keys):
        return result_dicts.delete_objects_result(self._store.delete_many(bucket, list(keys)))

    def copy_object(
        self,
        source_bucket,
        source_key,
        bucket,
        key,
        *,
        content_type=None,
        metadata=None,
        generation=None,
        source_if_match=None,
        if_absent=False,
        if_match=None,
        ttl=None,
    ):
        keep = content_type is None and metadata is None
        info = self._store.copy(
            CopySource(bucket=source_bucket, key=source_key, generation=generation, if_match=source_if_match),
            bucket,
            key,
            attributes=None if keep else attributes_of(content_type, metadata),
            condition=rules.check_condition(if_absent=if_absent, if_match=if_match),
            ttl=ttl,
        )
        return result_dicts.put_result(info)

    def create_multipart_upload(
        self, bucket, key, content_type=None, metadata=None, *, if_absent=False, if_match=None, ttl=None
    ):
        upload_id = self._store.multipart.create(
            bucket,
            key,
            attributes=attributes_of(content_type, metadata, ttl),
            condition=rules.check_condition(if_absent=if_absent, if_match=if_match),
        )
        return {"bucket": bucket, "key": key, "upload_id": upload_id}

    def upload_part(self, bucket, key, upload_id, part_number, data):
        return result_dicts.part_result(
            fill(self._store.multipart.begin_part(bucket, key, upload_id, part_number), data)
        )

    def complete_multipart_upload(self, bucket, key, upload_id, parts, *, if_absent=False, if_match=None):
        choices = [PartChoice(part["part_number"], part["etag"]) for part in parts]
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        return result_dicts.put_result(
            self._store.multipart.complete(bucket, key, upload_id, choices, condition=condition)
        )

    def abort_multipart_upload(self, bucket, key, upload_id):
        self._store.multipart.abort(bucket, key, upload_id)

    def list_parts(self, bucket, key, upload_id):
        found, after, more = [], 0, True
        while more:
            parts, more = self._store.multipart.parts(bucket, key, upload_id, after_number=after)
            found += map(result_dicts.part_result, parts)
            after = parts[-1].number if parts else 0
        return found

    def list_multipart_uploads(self, bucket, prefix="", max_uploads=1000, *, page_token=None):
        uploads, token = self._store.multipart.page(
            bucket, prefix=prefix, page_size=max_uploads, page_token=page_token or ""
        )
        return result_dicts.upload_list(bucket, prefix, uploads, token)

    def list_objects(self, bucket, prefix="", max_keys=1000, *, delimiter="", page_token=None):
        page = self._store.page(
            bucket, prefix=prefix, delimiter=delimiter, page_size=max_keys, page_token=page_token or ""
        )
        return result_dicts.list_result(bucket, prefix, page.objects, page.common_prefixes, page.next_after)

    def create_bucket(self, bucket, *, exist_ok=False):
        return result_dicts.bucket_result(self._store.create_bucket(bucket, exist_ok=exist_ok))

    def delete_bucket(self, bucket):
        self._store.delete_bucket(bucket)

    def list_buckets(self):
        return [result_dicts.bucket_result(info) for info in self._store.bucket_page()[0]]

    def bucket_exists(self, bucket):
        return any(info.name == bucket for info in self._store.bucket_page()[0])

    def server_info(self):
        return result_dicts.server_info_result(self._store.server_info())


class AsyncFace:
    """The asynchronous client, awaited on a loop of its own thread; what is iterated over becomes asynchronous, too."""

    def __init__(self, endpoint):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="face", daemon=True)
        self._thread.start()
        self._client = AsyncStorageClient(endpoint)

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **options):
            begun = method(*map(asynchronous, args), **options)
            return self._drained(begun) if hasattr(begun, "__anext__") else self._wait(begun)

        return call

    def _drained(self, items):
        try:
            while (item := self._wait(anext(items, self))) is not self:
                yield item
        finally:
            self._wait(items.aclose())

    def _wait(self, awaitable):
        async def awaited():
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()

    def close(self):
        self._wait(self._client.aclose())
        self._wait(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def asynchronous(source):
    """An iterator as an asynchronous one; anything else as it is."""
    if not hasattr(source, "__next__"):
        return source

    async def items():
        for item in source:
            yield item

    return items()


def pytest_collection_modifyitems(config, items):
    """Meet a rule of the store, whose cases are many, where it stands, over every engine; and once through a face."""

    def repeats(item):
        params = getattr(getattr(item, "callspec", None), "params", {})
        place = (params.get("face"), params.get("engine_name"))
        return item.get_closest_marker("rule") and place[0] != "store" and place != ("client", "memory")

    left_out = [item for item in items if repeats(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not repeats(item)]


def attributes_of(content_type, metadata, ttl=None):
    return ObjectAttributes(content_type=content_type or "", metadata=rules.check_metadata(metadata), ttl=ttl)


def fill(write, source):
    """Send what a source yields as an upload of the store; return what its commit returned."""
    upload = Upload(source)
    try:
        with write:
            for chunk in upload.chunks():
                write.write(chunk)
            return write.commit(size=upload.sent, crc32c=upload.checksum())
    except SourceFailedError as failed:
        raise failed.original from None


@contextmanager
def subject(face, engine_url, **options):
    """One face over one engine, given open or as an URL, and closed at the end."""
    if face == "store":
        engine = open_engine(engine_url) if isinstance(engine_url, str) else engine_url
        try:
            yield StoreFace(ObjectStore(engine, **options))
        finally:
            engine.close()
    elif face == "client":
        with local_server(engine_url, **options) as server, StorageClient(server.endpoint) as client:
            yield client
    else:
        with local_server(engine_url, **options) as server, closing(AsyncFace(server.endpoint)) as client:
            yield client


@pytest.fixture(params=ENGINES)
def engine_name(request):
    if request.param == "remote":
        pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    return request.param


@pytest.fixture
def engine_url(request, engine_name, tmp_path):
    if engine_name == "ceph":
        return request.getfixturevalue("store_url")
    return {"memory": "memory://", "local": (tmp_path / "data").as_uri(), "remote": "remote+memory://"}[engine_name]


@pytest.fixture
def skip_unless_able(request):
    """Skip the test if it is marked with ``needs`` and something of that is not among the capabilities."""

    def skip_unless(capabilities):
        needed = {name for mark in request.node.iter_markers("needs") for name in mark.args}
        if lacking := needed - set(capabilities):
            pytest.skip(f"the engine lacks {', '.join(sorted(lacking))}")

    return skip_unless


@pytest.fixture(params=FACES)
def face(request):
    return request.param


def emptied(storage):
    """Remove every bucket with all that is in it, and every upload under way."""
    for bucket in [each["name"] for each in storage.list_buckets()]:
        for upload in storage.list_multipart_uploads(bucket)["uploads"]:
            storage.abort_multipart_upload(bucket, upload["key"], upload["upload_id"])
        while keys := [each["key"] for each in storage.list_objects(bucket)["objects"]]:
            storage.delete_objects(bucket, keys)
        storage.delete_bucket(bucket)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a subject of each kind that all tests of a module share: starting one takes longer than most tests.

    None outlives its module: tests elsewhere count the threads and the open files of their process.
    """
    with ExitStack() as stack:

        @cache
        def started(face, engine):
            url = {"memory": "memory://", "remote": "remote+memory://"}.get(engine)
            url = url or (tmp_path_factory.mktemp("shared") / "data").as_uri()
            # the rules under the subject, which empty it whatever a test has broken off
            opened = open_engine(url)
            it = stack.enter_context(subject(face, opened, auto_create_buckets=False))
            return it, StoreFace(ObjectStore(opened, auto_create_buckets=False))

        yield started


@pytest.fixture
def storage(request, face, engine_name, shared, skip_unless_able):
    if engine_name == "ceph":
        with subject(face, request.getfixturevalue("store_url"), auto_create_buckets=False) as it:
            skip_unless_able(it.server_info()["capabilities"])
            it.create_bucket("bucket")
            yield it
        return
    it, beneath = shared(face, engine_name)
    skip_unless_able(it.server_info()["capabilities"])
    it.create_bucket("bucket")
    yield it
    emptied(beneath)
