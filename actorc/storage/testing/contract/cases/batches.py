"""Many small objects stored, and read, in one call."""

from __future__ import annotations

from typing import Any

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    IdempotencyKeyReusedError,
    IntegrityError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from actorc.storage.models import Condition, ObjectAttributes, ObjectInfo, SmallObject
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing.contract.demands import needs, refused_without

KiB = 1 << 10
SIZES = {"empty": 0, "inline": 4 * KiB, "in a file": 40 * KiB, "the largest": 128 * KiB, "too large": 300 * KiB}
BODIES = {name: name.encode()[:1] * size for name, size in SIZES.items()}


def keys(storage: StorageClient) -> list[str]:
    return [head["key"] for head in storage.list_objects("bucket")["objects"]]


def small(key: str, data: bytes = b"data", **options: Any) -> SmallObject:
    return SmallObject(key, data, crc32c(data), **options)


def kinds(results: list[ObjectInfo | StorageError]) -> list[type]:
    return [type(result) for result in results]


class BatchCases:
    """A batch stores or reads every object for itself, and tells of each what became of it."""

    def test_objects_of_all_sizes_are_stored_and_read_at_once(self, storage: StorageClient) -> None:
        stored = storage.put_objects("bucket", BODIES)
        read = storage.get_objects("bucket", list(reversed(BODIES)))

        assert (stored["errors"], read["errors"]) == ({}, {})
        assert {put["key"]: put["size"] for put in stored["stored"]} == SIZES
        assert [each["key"] for each in read["objects"]] == list(reversed(BODIES))
        assert {each["key"]: each["data"] for each in read["objects"]} == BODIES
        for each, put in zip(reversed(read["objects"]), stored["stored"], strict=True):
            head = storage.head_object("bucket", each["key"])
            assert each == {**head, "data": each["data"]}
            assert put == {name: head[name] for name in put}  # type: ignore[literal-required]

    def test_each_object_has_attributes_of_its_own(self, storage: StorageClient) -> None:
        storage.put_objects(
            "bucket",
            [
                {"key": "a.csv", "data": b"1"},
                {"key": "b", "data": b"2", "content_type": "text/x-b", "metadata": {"by": "alice"}},
            ],
        )

        described = [
            (each["content_type"], each["metadata"])
            for each in storage.get_objects("bucket", ["a.csv", "b"])["objects"]
        ]
        assert described == [("text/csv", {}), ("text/x-b", {"by": "alice"})]

    @needs("if-absent", "if-match")
    def test_each_object_has_a_condition_of_its_own(self, storage: StorageClient) -> None:
        etag = storage.put_object("bucket", "replaced", b"1")["etag"]
        storage.put_object("bucket", "taken", b"1")
        storage.put_object("bucket", "other", b"1")

        result = storage.put_objects(
            "bucket",
            [
                {"key": "taken", "data": b"2", "if_absent": True},
                {"key": "new", "data": b"2", "if_absent": True},
                {"key": "other", "data": b"2", "if_match": etag},
                {"key": "replaced", "data": b"2", "if_match": etag},
            ],
        )

        assert [put["key"] for put in result["stored"]] == ["new", "replaced"]
        assert {key: type(error) for key, error in result["errors"].items()} == {
            "taken": AlreadyExistsError,
            "other": PreconditionFailedError,
        }
        assert {(error.bucket, error.key) for error in result["errors"].values()} == {
            ("bucket", "taken"),
            ("bucket", "other"),
        }
        read = storage.get_objects("bucket", ["taken", "new", "other", "replaced"])["objects"]
        assert [each["data"] for each in read] == [b"1", b"2", b"1", b"2"]

    @needs("ttl")
    def test_each_object_has_a_ttl_of_its_own(self, storage: StorageClient) -> None:
        storage.put_objects("bucket", [{"key": "a", "data": b"", "ttl": 60}, {"key": "b", "data": b""}])

        expiries = [each["expires_at"] for each in storage.get_objects("bucket", ["a", "b"])["objects"]]
        assert [expiry is None for expiry in expiries] == [False, True]

    @refused_without("ttl")
    def test_an_object_with_a_ttl_is_refused_for_itself(self, storage: StorageClient) -> None:
        result = storage.put_objects("bucket", [{"key": "a", "data": b"", "ttl": 60}, {"key": "b", "data": b""}])

        assert ([put["key"] for put in result["stored"]], list(result["errors"])) == (["b"], ["a"])

    def test_what_is_not_there_is_told_and_the_rest_is_read(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"data")

        result = storage.get_objects("bucket", ["missing", "key", "key"])

        assert [each["data"] for each in result["objects"]] == [b"data", b"data"]
        assert {key: type(error) for key, error in result["errors"].items()} == {"missing": ObjectNotFoundError}
        assert (result["errors"]["missing"].bucket, result["errors"]["missing"].key) == ("bucket", "missing")

    def test_a_bucket_that_is_not_there_is_an_error_of_the_whole_batch(self, storage: StorageClient) -> None:
        for call in (
            lambda: storage.put_objects("missing", {"key": b""}),
            lambda: storage.put_objects("missing", {"key": BODIES["too large"]}),
            lambda: storage.get_objects("missing", ["key"]),
        ):
            with pytest.raises(BucketNotFoundError) as caught:
                call()
            assert caught.value.bucket == "missing"

    def test_nothing_is_a_batch_too(self, storage: StorageClient) -> None:
        assert storage.put_objects("bucket", {}) == {"stored": [], "errors": {}}
        assert storage.get_objects("bucket", []) == {"objects": [], "errors": {}}

    def test_more_objects_than_a_batch_has_are_stored_and_read(self, storage: StorageClient) -> None:
        many = {f"{number:04}": number.to_bytes(2, "big") for number in range(1003)}

        stored = storage.put_objects("bucket", many)
        read = storage.get_objects("bucket", many)

        assert [put["key"] for put in stored["stored"]] == list(many)
        assert {each["key"]: each["data"] for each in read["objects"]} == many

    def test_more_bytes_than_a_message_has_are_stored_and_read(self, storage: StorageClient) -> None:
        many = {f"{number:02}": bytes([number]) * (120 * KiB) for number in range(40)}

        assert len(storage.put_objects("bucket", many)["stored"]) == len(many)
        assert {each["key"]: each["data"] for each in storage.get_objects("bucket", many)["objects"]} == many

    def test_a_wrong_object_is_found_before_any_is_stored(self, storage: StorageClient) -> None:
        for wrong in (
            [{"key": "key", "data": b""}, {"key": "/no", "data": b""}],
            [{"key": "key", "data": b""}, {"key": "key", "data": b""}],
            [{"key": "key", "data": b""}, {"key": "other", "data": "text"}],
            [{"key": "key", "data": b""}, {"key": "other"}],
            [{"key": "key", "data": b"", "size": 3}],
            [b"key"],
        ):
            with pytest.raises(InvalidParameterError):
                storage.put_objects("bucket", wrong)  # type: ignore[arg-type]

        assert keys(storage) == []


class BatchRuleCases:
    """The rules of batches, whatever a client has checked."""

    def test_a_wrong_object_is_refused_for_itself(self, store: ObjectStore) -> None:
        results = store.put_many(
            "bucket",
            [small("/no"), small("key"), small("large", bytes(129 * KiB)), small("loud", attributes=LOUD)],
        )

        assert kinds(results) == [InvalidParameterError, ObjectInfo, InvalidParameterError, InvalidParameterError]
        assert [getattr(result, "key", None) for result in results] == ["/no", "key", "large", "loud"]
        assert [info.key for info in store.page("bucket").objects] == ["key"]
        assert [type(each).__name__ for each in store.read_many("bucket", ["/no", "key"])] == [
            "InvalidParameterError",
            "ObjectContent",
        ]

    def test_descriptions_of_a_batch_are_those_of_each_object(self, store: ObjectStore) -> None:
        store.put_many("bucket", [small("key", attributes=ObjectAttributes(metadata={"a": "b"})), small("other")])
        found = list(store.head_many("bucket", ["other", "missing", "key", "/no", "key"]))

        described = store.head("bucket", "key")
        assert found[::2] == [store.head("bucket", "other"), described, described]
        assert kinds(found[1::2]) == [ObjectNotFoundError, InvalidParameterError]
        assert [getattr(result, "key", None) for result in found] == ["other", "missing", "key", "/no", "key"]

    def test_descriptions_in_a_missing_bucket_are_refused_as_a_whole(self, store: ObjectStore) -> None:
        with pytest.raises(BucketNotFoundError):
            list(store.head_many("missing", ["key"]))
        with pytest.raises(InvalidParameterError):
            list(store.head_many("bucket", ["key"] * 1001))

    def test_a_batch_beyond_the_limits_is_refused_as_a_whole(self, store: ObjectStore) -> None:
        for batch in (
            [small(f"{number}") for number in range(1001)],
            [small(f"{number}", bytes(128 * KiB)) for number in range(33)],
            [small(f"{number:03}" + "\u00e9" * 1021) for number in range(600)],
            [small("key"), small("other"), small("key")],
        ):
            with pytest.raises(InvalidParameterError):
                store.put_many("bucket", batch)
        with pytest.raises(InvalidParameterError):
            list(store.read_many("bucket", ["key"] * 1001))

        assert store.page("bucket").objects == ()

    def test_bytes_that_arrived_damaged_fail_the_batch_which_may_be_sent_again(self, store: ObjectStore) -> None:
        with pytest.raises(IntegrityError) as caught:
            store.put_many("bucket", [small("key"), small("damaged")._replace(crc32c=1)])

        assert caught.value.retryable
        assert store.page("bucket").objects == ()

    @needs("answers", "if-absent")
    def test_a_repeated_batch_gets_the_first_answers(self, store: ObjectStore) -> None:
        batch = [
            small("taken", condition=ABSENT),
            small("small", condition=ABSENT),
            small("large", b"x" * (20 * KiB), condition=ABSENT),
        ]
        taken = store.put("bucket", "taken", b"", 0)
        first = store.put_many("bucket", batch, idempotency_key="call")
        store.delete("bucket", "small")

        again = store.put_many("bucket", batch, idempotency_key="call")

        assert kinds(first) == kinds(again) == [AlreadyExistsError, ObjectInfo, ObjectInfo]
        assert first[1:] == again[1:]
        assert [info.key for info in store.page("bucket").objects] == ["large", "taken"]
        assert store.head("bucket", "taken") == taken

    @needs("answers", "if-absent")
    def test_an_object_of_a_batch_that_is_put_alone_with_its_idempotency_key_gets_its_answer(
        self, store: ObjectStore
    ) -> None:
        loud = ObjectAttributes(content_type="text/plain", metadata={"b": "2", "a": "1"})
        batch = [small("small", condition=ABSENT, attributes=loud), small("other"), small("large", b"x" * (20 * KiB))]
        first = store.put_many("bucket", batch, idempotency_key="call")

        again = [
            store.put(
                "bucket",
                each.key,
                bytes(each.data),
                each.crc32c,
                attributes=each.attributes,
                condition=each.condition,
                idempotency_key="call",
            )
            for each in batch
        ]

        assert again == first
        with pytest.raises(IdempotencyKeyReusedError):
            store.put("bucket", "small", b"data", crc32c(b"data"), attributes=loud, idempotency_key="call")

    @needs("answers", "if-absent")
    def test_a_batch_gets_the_answers_of_its_objects_that_were_put_alone_with_its_idempotency_key(
        self, store: ObjectStore
    ) -> None:
        batch = [small("alone", condition=ABSENT), small("together"), small("later", condition=ABSENT)]
        alone = store.put("bucket", "alone", b"data", batch[0].crc32c, condition=ABSENT, idempotency_key="call")
        taken = store.put("bucket", "later", b"data", batch[2].crc32c)

        first = store.put_many("bucket", batch, idempotency_key="call")
        store.delete("bucket", "later")
        second = store.put_many("bucket", batch, idempotency_key="call")
        third = store.put_many("bucket", batch, idempotency_key="call")

        assert kinds(first) == [ObjectInfo, ObjectInfo, AlreadyExistsError]
        assert first[:2] == second[:2] == third[:2] == [alone, store.head("bucket", "together")]
        assert second[2] == third[2] == store.head("bucket", "later") != taken

    @needs("answers")
    def test_an_idempotency_key_that_comes_with_another_batch_is_an_error_where_it_differs(
        self, store: ObjectStore
    ) -> None:
        first = store.put_many("bucket", [small("same"), small("other")], idempotency_key="call")

        again = store.put_many("bucket", [small("same"), small("other", b"atad")], idempotency_key="call")

        assert again[0] == first[0]
        assert isinstance(again[1], IdempotencyKeyReusedError)
        assert store.head("bucket", "other") == first[1]


ABSENT = Condition(if_absent=True)
LOUD = ObjectAttributes(content_type="a\nb")
