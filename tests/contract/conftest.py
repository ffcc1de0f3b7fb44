"""Who is under test: every engine, behind every face. The contract sees one surface and never looks inside."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from actorc.storage import NotFoundError, StorageClient, _results, rules
from actorc.storage._checksum import crc32c
from actorc.storage._transfer import SourceFailedError, Upload
from actorc.storage.models import Condition, ObjectAttributes
from actorc.storage.server.engines import open_engine
from actorc.storage.server.store import ObjectStore
from actorc.storage.testing import local_server

ENGINES = ["memory", "local"]
FACES = ["store", "client"]


class StoreFace:
    """The rules of the service, called directly, under the names of the client."""

    def __init__(self, store):
        self._store = store

    def put_object(self, bucket, key, data, content_type=None, metadata=None, *, if_absent=False, if_match=None):
        attributes = ObjectAttributes(content_type=content_type or "", metadata=rules.check_metadata(metadata))
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        info = self._store.put(
            bucket, key, bytes(data), crc32c(bytes(data)), attributes=attributes, condition=condition
        )
        return _results.put_result(info)

    def upload_from_stream(self, bucket, key, stream, *, if_absent=False, if_match=None):
        upload = Upload(stream)
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        try:
            with self._store.begin_write(bucket, key, condition=condition) as write:
                for chunk in upload.chunks():
                    write.write(chunk)
                return _results.put_result(write.commit(size=upload.sent, crc32c=upload.checksum()))
        except SourceFailedError as failed:
            raise failed.original from None

    def stream_object(self, bucket, key, *, offset=0, length=None, generation=None, if_match=None):
        part = rules.check_range(offset, length)
        with self._store.read(bucket, key, ranges=[part], generation=generation, if_match=if_match) as (_, chunks):
            for chunk in chunks:
                assert crc32c(chunk.data) == chunk.crc32c
                yield bytes(chunk.data)

    def get_object(self, bucket, key, **options):
        return b"".join(self.stream_object(bucket, key, **options))

    def head_object(self, bucket, key):
        return _results.object_head(self._store.head(bucket, key))

    def object_exists(self, bucket, key):
        try:
            self._store.head(bucket, key)
        except NotFoundError:
            return False
        return True

    def delete_object(self, bucket, key, *, if_match=None):
        self._store.delete(bucket, key, condition=Condition(if_match=if_match))

    def list_objects(self, bucket, prefix="", max_keys=1000, *, delimiter="", page_token=None):
        page = self._store.page(
            bucket, prefix=prefix, delimiter=delimiter, page_size=max_keys, page_token=page_token or ""
        )
        return _results.list_result(bucket, prefix, page.objects, page.common_prefixes, page.next_after)

    def create_bucket(self, bucket, *, exist_ok=False):
        return _results.bucket_result(self._store.create_bucket(bucket, exist_ok=exist_ok))

    def delete_bucket(self, bucket):
        self._store.delete_bucket(bucket)

    def list_buckets(self):
        return [_results.bucket_result(info) for info in self._store.buckets()]

    def bucket_exists(self, bucket):
        return any(info.name == bucket for info in self._store.buckets())

    def server_info(self):
        return _results.server_info_result(self._store.server_info())


@contextmanager
def subject(face, engine_url, **options):
    """One face over one fresh engine."""
    if face == "store":
        engine = open_engine(engine_url)
        try:
            yield StoreFace(ObjectStore(engine, **options))
        finally:
            engine.close()
    else:
        with local_server(engine_url, **options) as server, StorageClient(server.endpoint) as client:
            yield client


@pytest.fixture(params=ENGINES)
def engine_url(request, tmp_path):
    return "memory://" if request.param == "memory" else (tmp_path / "data").as_uri()


@pytest.fixture(params=FACES)
def face(request):
    return request.param


@pytest.fixture
def storage(face, engine_url):
    with subject(face, engine_url, auto_create_buckets=False) as it:
        it.create_bucket("bucket")
        yield it
