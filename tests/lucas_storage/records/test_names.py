"""`publish` and `lookup`: artifacts by name, between runs."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from actorc.storage import InvalidParameterError
from lucas_storage import ArtifactRef, with_storage
from lucas_storage.errors import ArtifactNotFoundError, UnsafeFormatError, VersionTakenError
from lucas_storage.records import record_store
from lucas_storage.records.ulid import is_ulid, moment_of, ulid


class Model:
    """A class that no format but pickle holds."""


@pytest.fixture
def refs(storage):
    return [storage.put(np.full(3, n)) for n in range(3)]


def keys(storage, name):
    return [one["key"].removeprefix(f"names/{name}/") for one in storage.iter_objects(storage.bucket, f"names/{name}/")]


def test_what_was_published_last_is_found(storage, refs):
    returned = [storage.publish(ref, "ranker") for ref in refs]

    assert refs == returned
    assert refs[2] == storage.lookup("ranker")


def test_a_version_stays_and_an_alias_moves(storage, refs):
    storage.publish(refs[0], "ranker", version="1.0", alias="prod")
    before = storage.lookup("ranker@prod")
    storage.publish(refs[1], "ranker", version="1.1", alias="prod")

    assert (refs[0], refs[0], refs[1]) == (before, storage.lookup("ranker@1.0"), storage.lookup("ranker@prod"))


def test_an_alias_can_move_back(storage, refs):
    for version, ref in (("1", refs[0]), ("2", refs[1]), ("1", refs[0])):
        storage.publish(ref, "ranker", version=version, alias="prod")

    assert refs[0] == storage.lookup("ranker@prod")
    assert refs[1] == storage.lookup("ranker")


def test_the_same_version_with_the_same_content_is_published_once(storage, refs):
    for _ in range(3):
        storage.publish(refs[0], "ranker", version="1")

    assert [key for key in keys(storage, "ranker") if is_ulid(key.removesuffix(".json"))] == keys(storage, "ranker")[:1]


def test_the_same_version_with_other_content_is_refused(storage, refs):
    storage.publish(refs[0], "ranker", version="1")

    with pytest.raises(VersionTakenError, match="version '1' of 'ranker' is published already, as other content"):
        storage.publish(refs[1], "ranker", version="1", alias="prod")
    assert refs[0] == storage.lookup("ranker")
    with pytest.raises(ArtifactNotFoundError):
        storage.lookup("ranker@prod")


def test_a_publication_cut_off_half_way_is_completed_by_the_next(storage, refs):
    storage.publish(refs[0], "ranker", version="1")
    latest = keys(storage, "ranker")[0]
    storage.delete_object(storage.bucket, f"names/ranker/{latest}")

    storage.publish(refs[0], "ranker", version="1")

    assert latest == keys(storage, "ranker")[0]
    assert refs[0] == storage.lookup("ranker")


def test_a_name_lasts_longer_than_its_handle(storage, refs):
    @with_storage
    def release(model: ArtifactRef, score, storage) -> ArtifactRef:
        return storage.publish(model, "ranker", alias="prod" if score > 0.9 else None, tags={"score": score})

    out = release(model=refs[0].to_json(), score=0.95)

    assert refs[0] == ArtifactRef.parse(out) == storage.lookup("ranker@prod")
    record = record_store.read(storage, f"names/ranker/{keys(storage, 'ranker')[0]}")
    assert record.content["tags"] == {"score": 0.95}


def test_a_reference_can_be_published_as_it_travels(storage, refs):
    assert refs[0] == storage.publish(refs[0].to_json(), "a") == storage.publish(refs[0].uri, "b")


def test_an_alias_knows_what_it_stood_for_before(storage, refs):
    for ref in refs:
        storage.publish(ref, "ranker", alias="prod")
    record = record_store.read(storage, "names/ranker/aliases/prod.json")

    published = [key.removesuffix(".json") for key in keys(storage, "ranker") if is_ulid(key.removesuffix(".json"))]

    assert published[1:] == [record.content["before"], record.content["id"]]


def test_many_may_publish_at_the_same_time(storage, refs):
    threads = [
        threading.Thread(target=storage.publish, args=(refs[n % 3], "ranker"), kwargs={"alias": "prod"})
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len([key for key in keys(storage, "ranker") if "/" not in key]) == 12
    assert storage.lookup("ranker@prod") in refs


@pytest.mark.parametrize("text", ["nothing", "ranker@nothing", "rank"])
def test_what_is_not_published_is_not_found(storage, refs, text):
    storage.publish(refs[0], "ranker")

    with pytest.raises(ArtifactNotFoundError, match=f"nothing is published as '{text}'"):
        storage.lookup(text)


@pytest.mark.parametrize("text", ["", "a/b", "ranker@", "a@b@c"])
def test_what_no_name_can_be_is_not_looked_up(storage, text):
    with pytest.raises(InvalidParameterError, match=f"'{text}' is no NAME, NAME@ALIAS or NAME@VERSION"):
        storage.lookup(text)


def test_nothing_is_found_where_there_is_no_bucket(storage):
    with pytest.raises(ArtifactNotFoundError, match="nothing is published as 'ranker'"):
        storage.lookup("ranker")


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "-a", "ä", "a" * 129, ".."])
def test_names_that_lead_elsewhere_are_refused(storage, refs, name):
    with pytest.raises(InvalidParameterError, match="cannot be published"):
        storage.publish(refs[0], name)
    with pytest.raises(InvalidParameterError):
        storage.publish(refs[0], "ranker", alias=name)


def test_what_is_gone_is_not_published(storage, refs):
    storage.delete_object(storage.bucket, refs[0].key)

    with pytest.raises(ArtifactNotFoundError):
        storage.publish(refs[0], "ranker")
    assert keys(storage, "ranker") == []


def test_what_is_elsewhere_or_not_pinned_is_not_published(storage, refs):
    with pytest.raises(InvalidParameterError, match="is published in its own bucket"):
        storage.publish(replace(refs[0], store="prod"), "ranker")
    with pytest.raises(InvalidParameterError, match="pins no digest"):
        storage.publish(replace(refs[0], digest=None), "ranker")


def test_an_unsigned_pickle_that_was_looked_up_is_not_opened(storage):
    signed = storage.put(Model())
    storage.publish(signed, "signed")
    storage.publish(signed.signed(None), "planted")

    assert isinstance(storage.lookup("signed").load(), Model)
    with pytest.raises(UnsafeFormatError):
        storage.lookup("planted").load()


def test_a_record_that_was_planted_is_no_publication(storage, refs):
    storage.publish(refs[0], "ranker")
    storage.put_object(storage.bucket, f"names/ranker/{ulid()}.json", b'{"ref": "lucas://default/b/k"}')

    with pytest.raises(ArtifactNotFoundError):
        storage.lookup("ranker")


def test_identifiers_grow_and_tell_the_time():
    made = [ulid() for _ in range(10_000)]

    assert sorted(set(made)) == made
    assert all(map(is_ulid, made))
    assert 0 <= moment_of(made[-1]) - moment_of(made[0]) < 60
