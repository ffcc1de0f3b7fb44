"""Fingerprints: the same for the same result, wherever its artifacts lie, and another for every other one."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from lucas_storage.records.result_fingerprint import fingerprint
from lucas_storage.refs import ArtifactRef, inline_ref

STORED = ArtifactRef(bucket="one", key="a/key", digest=f"sha256:{'0' * 64}", size=3, format="npy@1")
VALUES = [
    0,
    1,
    True,
    1.0,
    "1",
    "",
    None,
    [],
    {},
    (),
    [1],
    (1,),
    [[1]],
    {"a": 1},
    {"b": 1},
    ["dict", {"a": 1}],
    -0.0,
    float("nan"),
    STORED,
    ["artifact", "npy@1", "blob", 3, STORED.digest],
    dataclasses.replace(STORED, format="npy@2"),
    inline_ref("json@1", b"1"),
]


def test_all_of_these_are_different():
    assert len(set(map(fingerprint, VALUES))) == len(VALUES)


def test_it_is_for_ever():
    value = {"b": [1, 2.5, None, "ä"], "a": (STORED,)}

    assert fingerprint(value) == "d346774ac249e1c743a2e654ce331eddb0da0bdae577ec035d4b9b151fcc18d9"


@pytest.mark.parametrize(
    "moved",
    [
        dataclasses.replace(STORED, bucket="two", key="b/key", store="other", filename="x.npy", run="01A"),
        STORED.signed("0" * 64),
        STORED.to_json(),
    ],
)
def test_an_artifact_counts_wherever_it_lies(moved):
    assert fingerprint([moved]) == fingerprint([STORED])


def test_the_order_of_keys_does_not_count():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_what_no_engine_carries_has_none():
    deep = []
    for _ in range(100_000):
        deep = [deep]

    assert [fingerprint(each) for each in (date(2026, 1, 1), {1, 2}, deep, {"$artifact": "lucas:no"})] == [None] * 4
