"""Who may do what: statements, and the store as one caller may use it."""

from __future__ import annotations

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import BucketNotFoundError, InvalidParameterError, ObjectNotFoundError, PermissionError
from actorc.storage.models import Chunk, ObjectContent, ObjectInfo, SmallObject
from actorc.storage.server.auth.access import ANYBODY, EVERYTHING, NOBODY, Principal, Statement
from actorc.storage.server.auth.authorized_store import AuthorizedStore, AuthorizedUploads
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.server.store.multipart import MultipartUploads
from actorc.storage.server.store.store import ObjectStore

KEYS = ["a/1", "a/2", "b/1", "b/c/1", "b/c/2", "top"]


def principal(*allowed):
    return Principal(access_key="AKTEST", statements=tuple(Statement.parse(text) for text in allowed))


@pytest.fixture
def store():
    store = ObjectStore(MemoryEngine())
    for bucket in ("bucket-1", "bucket-2"):
        store.create_bucket(bucket)
        for key in KEYS:
            put(store, bucket, key)
    return store


@pytest.fixture
def as_(store):
    return lambda *allowed: AuthorizedStore(store, principal(*allowed))


def put(store, bucket, key, data=b"data", **options):
    return store.put(bucket, key, data, crc32c(data), **options)


def begin(store, bucket, key):
    with store.begin_write(bucket, key):
        pass


def names(page):
    return [info.key for info in page.objects], list(page.common_prefixes)


@pytest.mark.parametrize(
    "text", ["read:bucket", "read,list:bucket-*/a/", "admin:*", "write,presign:b?cket/a:b/c", "delete:*/ä b"]
)
def test_a_statement_reads_as_it_is_written(text):
    assert text == str(Statement.parse(text))


def test_the_order_of_actions_does_not_matter():
    assert Statement.parse("read,list:b") == Statement.parse("list, read,read:b")


@pytest.mark.parametrize("text", ["", "read", "read:", ":bucket", "read:/prefix", "reed:bucket", "read,:b", "*:b"])
def test_what_is_no_statement_is_refused(text):
    with pytest.raises(InvalidParameterError, match=r"is no (permission|action)"):
        Statement.parse(text)


def test_making_buckets_is_not_allowed_in_part_of_one():
    with pytest.raises(InvalidParameterError, match="whole buckets"):
        Statement.parse("read,admin:bucket/a/")


@pytest.mark.parametrize(
    ("action", "bucket", "key", "expected"),
    [
        ("read", "team-1", "a/x", True),
        ("read", "team-1", "a/", True),
        ("read", "team-1", "a", False),
        ("read", "team-1", "b/x", False),
        ("read", "team-1", "", False),
        ("read", "Team-1", "a/x", False),
        ("read", "team", "a/x", False),
        ("write", "team-1", "a/x", False),
        ("list", "any", "any", True),
        ("list", "any", "", True),
    ],
)
def test_what_no_statement_allows_is_denied(action, bucket, key, expected):
    assert expected is principal("read:team-*/a/", "list:*").may(action, bucket, key)


def test_nobody_may_nothing_and_anybody_everything():
    asked = [(action, "bucket", "key") for action in EVERYTHING.actions]

    assert [NOBODY.may(*each) for each in asked] == [False] * 6
    assert [ANYBODY.may(*each) for each in asked] == [True] * 6


@pytest.mark.parametrize(("guarded", "rules"), [(AuthorizedStore, ObjectStore), (AuthorizedUploads, MultipartUploads)])
def test_every_method_of_the_rules_is_guarded(guarded, rules):
    public = {name for name in dir(rules) if callable(getattr(rules, name)) and not name.startswith("_")}

    assert public - set(vars(guarded)) == set()


def test_methods_of_the_caller_are_those_of_the_rules(as_):
    store = as_("read,write,delete,list,admin:*")
    store.create_bucket("bucket-3")
    info = put(store, "bucket-3", "key", b"abc")

    with store.read("bucket-3", "key") as (read, chunks):
        data = b"".join(chunk.data for chunk in chunks)

    assert (info, info, b"abc") == (store.head("bucket-3", "key"), read, data)
    assert store.delete("bucket-3", "key")
    store.delete_bucket("bucket-3")
    assert [info.name for info in store.bucket_page()[0]] == ["bucket-1", "bucket-2"]


OUTSIDE = {
    "head": lambda store, key: store.head("bucket-1", key),
    "read": lambda store, key: store.read("bucket-1", key),
    "put": lambda store, key: put(store, "bucket-1", key),
    "begin_write": lambda store, key: store.begin_write("bucket-1", key),
    "delete": lambda store, key: store.delete("bucket-1", key),
    "copy from": lambda store, key: store.copy(CopySource(bucket="bucket-1", key=key), "bucket-1", "a/copy"),
    "copy to": lambda store, key: store.copy(CopySource(bucket="bucket-1", key="a/1"), "bucket-1", key),
    "create": lambda store, key: store.multipart.create("bucket-1", key),
    "begin_part": lambda store, key: store.multipart.begin_part("bucket-1", key, "id", 1),
    "complete": lambda store, key: store.multipart.complete("bucket-1", key, "id", []),
    "abort": lambda store, key: store.multipart.abort("bucket-1", key, "id"),
    "parts": lambda store, key: store.multipart.parts("bucket-1", key, "id"),
    "list": lambda store, key: store.page("bucket-1", prefix=key),
    "list uploads": lambda store, key: store.multipart.page("bucket-1", prefix=key),
}


@pytest.mark.parametrize("operation", OUTSIDE)
@pytest.mark.parametrize("key", ["b/1", "b/missing"])
def test_a_key_for_a_prefix_can_do_nothing_outside_and_learns_nothing(as_, operation, key):
    store = as_("read,list,write,delete,presign:bucket-1/a/")

    with pytest.raises(PermissionError, match="the access key AKTEST does not allow") as caught:
        OUTSIDE[operation](store, key)

    assert (caught.value.bucket, caught.value.key) == ("bucket-1", key)


@pytest.mark.parametrize("operation", [name for name in OUTSIDE if "list" not in name])
@pytest.mark.parametrize("allowed", ["list,presign,admin:*", "read,write,delete:bucket-2"])
def test_other_actions_and_other_buckets_do_not_help(as_, operation, allowed):
    with pytest.raises(PermissionError):
        OUTSIDE[operation](as_(allowed), "a/1")


def test_reading_writing_and_deleting_are_allowed_one_by_one(as_):
    assert as_("read:bucket-1").head("bucket-1", "top").key == "top"
    assert put(as_("write:bucket-1"), "bucket-1", "top").key == "top"
    assert as_("delete:bucket-1").delete("bucket-1", "top")


def test_a_copy_reads_the_source_and_writes_the_target(as_):
    copied = as_("read:bucket-1/a/", "write:bucket-2/b/").copy(
        CopySource(bucket="bucket-1", key="a/1"), "bucket-2", "b/new"
    )

    assert (copied.bucket, copied.key) == ("bucket-2", "b/new")


def test_whoever_may_write_an_object_may_send_it_in_parts(as_):
    uploads = as_("write:bucket-1/a/").multipart
    upload_id = uploads.create("bucket-1", "a/big")

    with uploads.begin_part("bucket-1", "a/big", upload_id, 1) as part:
        part.write(Chunk(0, b"abc", crc32c(b"abc")))
        part.commit(size=3, crc32c=crc32c(b"abc"))

    assert [part.number for part in uploads.parts("bucket-1", "a/big", upload_id)[0]] == [1]
    assert [each.key for each in uploads.page("bucket-1")[0]] == ["a/big"]
    uploads.abort("bucket-1", "a/big", upload_id)


def test_uploads_elsewhere_are_not_listed(as_):
    for key in ("a/1", "b/1"):
        as_("write:*").multipart.create("bucket-1", key)

    uploads, _ = as_("write:bucket-1/b/").multipart.page("bucket-1")

    assert [each.key for each in uploads] == ["b/1"]


@pytest.mark.parametrize("method", ["create_bucket", "delete_bucket"])
def test_only_admins_make_and_remove_buckets(as_, method):
    with pytest.raises(PermissionError):
        getattr(as_("read,list,write,delete,presign:*", "admin:others-*"), method)("bucket-1")


def test_admins_of_some_buckets_make_those(as_):
    assert as_("admin:mine-*").create_bucket("mine-1").name == "mine-1"


def test_only_buckets_in_which_anything_is_allowed_are_seen(as_):
    store = as_("read:bucket-2/a/")

    assert [info.name for info in store.bucket_page()[0]] == ["bucket-2"]
    assert store.head_bucket("bucket-2").name == "bucket-2"
    for hidden in ("bucket-1", "no-bucket"):
        with pytest.raises(PermissionError):
            store.head_bucket(hidden)


@pytest.mark.parametrize(
    ("prefix", "delimiter", "expected"),
    [
        ("", "", (["a/1", "a/2", "b/c/1", "b/c/2"], [])),
        ("", "/", ([], ["a/", "b/"])),
        ("b/", "/", ([], ["b/c/"])),
        ("b/c", "", (["b/c/1", "b/c/2"], [])),
        ("b/c/", "/", (["b/c/1", "b/c/2"], [])),
        ("a/1", "", (["a/1"], [])),
    ],
)
def test_a_listing_shows_what_may_be_listed(as_, prefix, delimiter, expected):
    page = as_("list:bucket-1/a/", "list:*/b/c/").page("bucket-1", prefix=prefix, delimiter=delimiter)

    assert (expected, "") == (names(page), page.next_after)


def test_a_listing_goes_on_behind_what_is_hidden(as_):
    store = as_("list:bucket-1/a/", "list:bucket-1/top")
    found, pages, token = [], 0, ""
    while pages == 0 or token:
        page = store.page("bucket-1", page_size=1, page_token=token)
        found += names(page)[0]
        pages, token = pages + 1, page.next_after

    assert found == ["a/1", "a/2", "top"]
    assert pages == len(found)


def test_a_listing_goes_straight_to_the_one_part_that_may_be_listed(as_):
    page = as_("list:bucket-1/b/c/").page("bucket-1", prefix="b", page_size=1)

    assert names(page) == (["b/c/1"], [])
    assert names(as_("list:bucket-1/b/c/").page("bucket-1", prefix="b", page_size=1, page_token=page.next_after)) == (
        ["b/c/2"],
        [],
    )


def test_listing_needs_its_permission_whether_or_not_the_bucket_is_there(as_):
    for bucket in ("bucket-1", "no-bucket"):
        with pytest.raises(PermissionError):
            as_("read,write,delete:*").page(bucket)


def test_each_key_of_a_batch_is_judged_for_itself(as_):
    results = as_("delete:bucket-1/a/").delete_many("bucket-1", ["a/1", "b/1", "a/missing", "", "a/2"])

    assert [(each.key, each.deleted, type(each.error)) for each in results] == [
        ("a/1", True, type(None)),
        ("b/1", False, PermissionError),
        ("a/missing", False, type(None)),
        ("", False, PermissionError),
        ("a/2", True, type(None)),
    ]
    assert as_("read:*").head("bucket-1", "b/1").key == "b/1"


def test_a_batch_in_a_foreign_bucket_is_refused_as_a_whole(as_):
    with pytest.raises(PermissionError):
        as_("delete:bucket-1").delete_many("bucket-2", ["a/1"])


def test_each_object_of_a_batch_is_judged_for_itself(as_):
    batch = [SmallObject(key, b"", 0) for key in ("a/1", "b/1", "a/new")]
    stored = as_("write:bucket-1/a/").put_many("bucket-1", batch)
    wanted = ["b/1", "a/new", "a/missing", ""]
    read = list(as_("read:bucket-1/a/").read_many("bucket-1", wanted))
    described = list(as_("read:bucket-1/a/").head_many("bucket-1", wanted))

    assert [type(each) for each in stored] == [ObjectInfo, PermissionError, ObjectInfo]
    assert [type(each) for each in read] == [PermissionError, ObjectContent, ObjectNotFoundError, PermissionError]
    assert [type(each) for each in described] == [PermissionError, ObjectInfo, ObjectNotFoundError, PermissionError]


def test_a_batch_of_objects_in_a_foreign_bucket_is_refused_as_a_whole(as_):
    with pytest.raises(PermissionError):
        as_("write:bucket-1").put_many("bucket-2", [SmallObject("a/1", b"", 0)])
    with pytest.raises(PermissionError):
        list(as_("read:bucket-1").read_many("bucket-2", ["a/1"]))
    with pytest.raises(PermissionError):
        list(as_("read:bucket-1").head_many("bucket-2", ["a/1"]))


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put_many("new-bucket", [SmallObject("key", b"", 0)]),
        lambda store: put(store, "new-bucket", "key"),
        lambda store: begin(store, "new-bucket", "key"),
        lambda store: store.multipart.create("new-bucket", "key"),
        lambda store: store.copy(CopySource(bucket="old-bucket", key="key"), "new-bucket", "key"),
    ],
)
class TestBucketsThatMakeThemselves:
    @pytest.fixture
    def making(self):
        """Whether buckets make themselves, as the server says at each write, and a store of that server."""
        state = {"makes": True}
        store = ObjectStore(MemoryEngine(), auto_create_buckets=lambda: state["makes"])
        put(store, "old-bucket", "key")
        return state, store

    def test_they_do_for_whoever_may_write_there(self, write, making):
        _, store = making
        write(AuthorizedStore(store, principal("read,write:*")))

        assert [info.name for info in store.bucket_page()[0]] == ["new-bucket", "old-bucket"]

    def test_they_do_for_nobody_else(self, write, making):
        _, store = making
        with pytest.raises(PermissionError):
            write(AuthorizedStore(store, principal("read:*", "write:another-*")))

        assert [info.name for info in store.bucket_page()[0]] == ["old-bucket"]

    def test_they_do_no_longer_once_the_server_says_so(self, write, making):
        state, store = making
        state["makes"] = False
        with pytest.raises(BucketNotFoundError) as caught:
            write(AuthorizedStore(store, principal("read,write:*")))

        assert caught.value.bucket == "new-bucket"
        assert "the access key AKTEST may not make it" in caught.value.message
        assert "--allow 'admin:new-bucket'" in caught.value.message
        assert "--auto-create-buckets" in caught.value.message
        assert store.server_info().auto_create_buckets is False

    def test_who_may_make_them_is_told_how(self, write, making):
        state, store = making
        state["makes"] = False
        with pytest.raises(BucketNotFoundError, match="make it with `lucas-storage mb`"):
            write(AuthorizedStore(store, principal("read,write,admin:*")))
