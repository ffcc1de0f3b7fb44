"""Records are searched for references, and none is missed, whoever wrote them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lucas_storage.gc.record_scan import scan_all
from lucas_storage.records import record_text
from lucas_storage.refs import ArtifactRef, inline_ref

KEY = "a/sha256/ab/" + "ab" * 32


def ref(**fields):
    usual = {"store": "default", "bucket": "bucket", "key": KEY, "digest": "sha256:" + "ab" * 32, "size": 5}
    return ArtifactRef(**{**usual, "format": "npy@1", **fields})


def scanned(text):
    """Return a record as it is searched, and the references that it has in truth."""
    data = text if isinstance(text, bytes) else text.encode()
    head = {"key": "runs/x/run.json", "etag": "e", "last_modified": datetime.now(UTC)}
    head["metadata"] = {"lucas-record": data.decode()}
    (found,) = scan_all(None, [head])
    truth = {(each.bucket, each.key) for each in record_text.refs_in(record_text.decode(data))}
    return found, truth


def places(found):
    return {*found.places, *((each.bucket, each.key) for each in found.refs)}


@pytest.mark.parametrize("fields", [{}, {"filename": "table.npy"}, {"run": "01ABC"}, {"signature": "0" * 64}])
def test_artifacts_that_refer_to_nothing_are_found_as_places(fields):
    text = record_text.encode({"run": "r", "age": 5, "in": {"x": [ref(**fields)]}, "memo": "0" * 64})
    found, _ = scanned(text)

    assert (found.places, found.refs) == ([("bucket", KEY)], [])
    assert found.memos == {"0" * 64}
    assert (found.content["run"], found.content["age"]) == ("r", 5)


@pytest.mark.parametrize(
    "other",
    [
        ref(format="json@1"),
        ref(kind="manifest"),
        ref(filename="täble.npy"),
        ref(key="any/other key"),
        ref(format="pickle5@2", signature="0" * 64),
        inline_ref("json@1", b"{}"),
    ],
)
def test_other_references_are_read_in_full(other):
    found, _ = scanned(record_text.encode({"out": [other, {"deep": [ref()]}]}))

    assert found.refs == [other]
    assert found.places == [("bucket", KEY)]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"$artifact":', '"$artifact" : '),
        lambda text: text.replace("$artifact", "\\u0024artifact", 1),
        lambda text: text.replace("lucas://", "lucas:\\/\\/"),
        lambda text: text.replace('{"$artifact"', '{ "$artifact"'),
        lambda text: text.replace("lucas:", "\\u006cucas:"),
        lambda text: text.replace('"run"', '"$run"'),
        lambda text: text.replace('"r"', '"\\"$artifact\\":\\"lucas:x\\""'),
        lambda text: text.replace('"r"', '"$artifact"'),
        lambda text: text.replace('"r"', json.dumps("costs $5 \\ \n é")),
        lambda text: text.replace('"r"', '{"$float":"inf"}'),
    ],
)
def test_no_way_to_write_a_reference_hides_it(change):
    text = change(record_text.encode({"run": "r", "out": [ref(), ref(format="json@1", key=KEY[:-1] + "0")]}).decode())
    found, truth = scanned(text)

    assert len(truth) == 2
    assert places(found) >= truth


@pytest.mark.parametrize("text", ["[]", "{", '{"$artifact":"lucas:no reference"}', '{"a":1e}', '{"at":"a"} x'])
def test_what_is_no_record_has_no_content(text):
    found, _ = scanned(text)

    assert found.content is None


def test_an_age_without_end_stays_one():
    found, _ = scanned(record_text.encode({"at": 0.0, "age": float("inf")}))

    assert found.content["age"] == float("inf")
