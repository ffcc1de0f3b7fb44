"""Pages: what may be shown, each name once, no longer than a message, and tokens that tell nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import InvalidParameterError
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import BucketInfo, ObjectAttributes
from actorc.storage.rules import MAX_BATCH, MAX_KEY_CHARACTERS, MAX_PAGE_BYTES
from actorc.storage.server.auth.access import Principal, Statement
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.server.engines.times import utc
from actorc.storage.server.store.page_tokens import read_token, write_token
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing import local_server

NAMES = st.text(alphabet="ab/é", min_size=1, max_size=5).filter(
    lambda key: not key.startswith("/") and "//" not in key and not key.endswith("/")
)
PREFIXES = st.text(alphabet="ab/", max_size=3)


@pytest.fixture(params=["memory", "local", "remote"])
def store(request, tmp_path):
    if request.param == "remote":
        pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    url = {"memory": "memory://", "local": (tmp_path / "data").as_uri(), "remote": "remote+memory://"}[request.param]
    engine = open_engine(url)
    yield ObjectStore(engine)
    engine.close()


def caller(store, *statements):
    return AuthorizedStore(store, Principal(statements=tuple(map(Statement.parse, statements))))


def put(store, key, metadata=None):
    attributes = ObjectAttributes(metadata=metadata or {})
    return store.put("bucket", key, b"", crc32c(b""), attributes=attributes)


def rolled(key, prefix, delimiter):
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return key if at < 0 else key[: at + len(delimiter)]


def pages_of(list_page):
    """The names of each page, and what its token says, until there is none."""
    token = ""
    while True:
        names, token, said = list_page(token)
        yield names, said
        if not token:
            return


@given(
    keys=st.sets(NAMES, max_size=10),
    allowed=st.lists(PREFIXES, min_size=1, max_size=4),
    prefix=PREFIXES,
    delimiter=st.sampled_from(["", "/", "b", "a/", "ba", "\x01"]),
    size=st.integers(1, 4),
)
def test_a_listing_tells_of_the_keys_that_may_be_listed_each_once_and_of_no_other(
    store, keys, allowed, prefix, delimiter, size
):
    store.create_bucket("bucket", exist_ok=True)
    for found in store.page("bucket").objects:
        store.delete("bucket", found.key)
    for key in keys:
        put(store, key)
    visible = [key for key in keys if key.startswith(tuple(allowed)) and key.startswith(prefix)]
    lister = caller(store, *(f"list:bucket/{each}" for each in allowed))
    if not any(prefix.startswith(each) or each.startswith(prefix) for each in allowed):
        return

    def list_page(token):
        page = lister.page("bucket", prefix=prefix, delimiter=delimiter, page_size=size, page_token=token)
        names = [*(info.key for info in page.objects), *page.common_prefixes]
        said = read_token(page.next_after, "bucket", prefix, delimiter) if page.next_after else None
        return sorted(names, key=str.encode), page.next_after, said

    pages = list(pages_of(list_page))

    expected = {rolled(key, prefix, delimiter) for key in visible}
    assert [name for names, _ in pages for name in names] == sorted(expected, key=str.encode)
    assert [said for _, said in pages[:-1]] == [names[-1] for names, _ in pages[:-1]]


@settings(max_examples=10)
@given(
    keys=st.lists(NAMES, max_size=8),
    allowed=st.lists(PREFIXES, min_size=1, max_size=3),
    size=st.integers(1, 3),
)
def test_a_listing_of_uploads_tells_of_those_that_may_be_written_and_of_no_other(store, keys, allowed, size):
    store.create_bucket("bucket", exist_ok=True)
    for info in store.multipart.page("bucket")[0]:
        store.multipart.abort("bucket", info.key, info.upload_id)
    begun = {(key, store.multipart.create("bucket", key)) for key in keys}
    writer = caller(store, *(f"write:bucket/{each}" for each in allowed)).multipart

    def list_page(token):
        uploads, token = writer.page("bucket", page_size=size, page_token=token)
        said = read_token(token, "uploads", "bucket", "").split("\0") if token else None
        return [(info.key, info.upload_id) for info in uploads], token, said

    pages = list(pages_of(list_page))

    visible = [each for each in begun if each[0].startswith(tuple(allowed))]
    assert [name for names, _ in pages for name in names] == sorted(
        visible, key=lambda each: (each[0].encode(), each[1])
    )
    assert [tuple(said) for _, said in pages[:-1]] == [names[-1] for names, _ in pages[:-1]]


def test_a_listing_of_buckets_tells_of_those_where_anything_is_allowed_and_of_no_other(store):
    for name in ("ours-1", "ours-2", "ours-3", "secret-1", "yours"):
        store.create_bucket(name)
    reader = caller(store, "read:ours-*", "list:yours/a/")

    def list_page(token):
        buckets, token = reader.bucket_page(page_size=1, page_token=token)
        return [info.name for info in buckets], token, read_token(token, "buckets") if token else None

    pages = list(pages_of(list_page))

    assert pages == [(["ours-1"], "ours-1"), (["ours-2"], "ours-2"), (["ours-3"], "ours-3"), (["yours"], None)]


def test_a_token_of_an_earlier_version_that_names_what_is_hidden_goes_on_behind_it(store):
    store.create_bucket("bucket")
    for key in ("a", "b", "c/1", "c/2"):
        put(store, key)

    page = caller(store, "list:bucket/c/").page("bucket", page_token=write_token("b", "bucket", "", ""))

    assert [info.key for info in page.objects] == ["c/1", "c/2"]


class ManyBuckets(MemoryEngine):
    """An engine that was used for a long time."""

    made = tuple(BucketInfo(name=f"{number:060}", created_at=utc(0)) for number in range(13_000))

    def buckets(self):
        return list(self.made)


@pytest.fixture
def full(connect):
    """A foreign client, whose gRPC takes no more than it does by default, and one of ours, of a full bucket."""
    engine = MemoryEngine()
    engine.create_bucket("bucket")
    for number in range(450):
        put(ObjectStore(engine), f"{number:04}", {"note": "n" * 8180})
    with local_server(engine) as server, server.client() as client:
        yield connect(server.endpoint), client


def test_a_page_is_no_longer_than_a_message(full):
    raw, _ = full
    found, sizes, token = [], [], ""
    while not sizes or token:
        answer = raw("ListObjects", pb.ListObjectsRequest(bucket="bucket", page_token=token))
        found += [info.key for info in answer.objects]
        sizes.append(answer.ByteSize())
        token = answer.next_page_token

    assert found == [f"{number:04}" for number in range(450)]
    assert len(sizes) == 2
    assert sizes[0] > MAX_PAGE_BYTES * 0.9
    assert max(sizes) <= MAX_PAGE_BYTES


def test_a_client_joins_pages_that_are_cut(full):
    _, client = full
    keys = [f"{number:04}" for number in range(450)]

    assert [info["key"] for info in client.list_objects("bucket")["objects"]] == keys
    assert [info["key"] for info in client.list_objects("bucket", max_keys=400)["objects"]] == keys[:400]
    assert [info["key"] for info in client.iter_objects("bucket")] == keys
    client.delete_bucket("bucket", force=True)
    assert client.list_buckets() == []


def long_keys(count):
    """Keys that are as long as they may be, in four bytes a character."""
    return [f"{number:04}".ljust(MAX_KEY_CHARACTERS, "\N{GRINNING FACE}") for number in range(count)]


def test_pages_of_common_prefixes_and_of_uploads_are_cut_too(connect):
    keys = long_keys(800)
    engine = MemoryEngine()
    with local_server(engine) as server, server.client() as client:
        raw = connect(server.endpoint)
        engine.create_bucket("bucket")
        for key in keys:
            put(ObjectStore(engine), key[:-1] + "/")
            engine.create_upload("bucket", key, ObjectAttributes())
        names = raw("ListObjects", pb.ListObjectsRequest(bucket="bucket", delimiter="/"))
        uploads = raw("ListMultipartUploads", pb.ListMultipartUploadsRequest(bucket="bucket"))

        assert 0 < len(names.common_prefixes) < 800
        assert 0 < len(uploads.uploads) < 800
        assert len(client.list_objects("bucket", delimiter="/")["common_prefixes"]) == 800
        assert [info["key"] for info in client.list_multipart_uploads("bucket")["uploads"]] == keys


def test_buckets_come_in_pages_and_all_at_once_if_they_fit_into_a_message(connect, refused):
    with local_server(ManyBuckets()) as server, server.client() as client:
        raw = connect(server.endpoint)
        page = raw("ListBuckets", pb.ListBucketsRequest(page_size=5000))
        _, error = refused(raw, "ListBuckets", pb.ListBucketsRequest())

        assert len(page.buckets) == 1000
        assert page.next_page_token
        assert InvalidParameterError is type(error)
        assert "page_size" in error.message
        assert len(client.list_buckets()) == len(ManyBuckets.made)
    with local_server("memory://") as server, server.client() as client:
        for number in range(3):
            client.create_bucket(f"bucket-{number}")
        answer = connect(server.endpoint)("ListBuckets", pb.ListBucketsRequest())

        assert ([info.name for info in answer.buckets], answer.next_page_token) == (
            ["bucket-0", "bucket-1", "bucket-2"],
            "",
        )


def test_a_batch_of_long_keys_is_deleted_in_messages_that_fit(raw, server):
    keys = long_keys(MAX_BATCH)
    with server.client() as client:
        client.put_object("bucket", keys[-1], b"")
        result = client.delete_objects("bucket", keys)

        assert (result["deleted"], result["errors"]) == (keys, {})
        assert not client.object_exists("bucket", keys[-1])


def test_what_became_of_a_batch_is_told_even_if_every_reason_is_long(raw):
    wrong = ["/" + key[1:] for key in long_keys(700)]

    answer = raw("DeleteObjects", pb.DeleteObjectsRequest(bucket="bucket", keys=wrong))

    assert [result.key for result in answer.results] == wrong
    assert all("must not begin with '/'" in result.failed.message for result in answer.results)


def test_a_batch_that_could_not_be_answered_deletes_nothing(raw, refused):
    raw.put("bucket", "key", b"")
    keys = ["key", *("n" * 4500 for _ in range(MAX_BATCH - 1))]

    _, error = refused(raw, "DeleteObjects", pb.DeleteObjectsRequest(bucket="bucket", keys=keys))

    assert InvalidParameterError is type(error)
    assert raw.get("bucket", "key") == b""
