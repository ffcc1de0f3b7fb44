"""Fingerprints of requests stay as they are: data directories have those that earlier versions made."""

from __future__ import annotations

import pytest

from actorc.storage.models import ANY, Condition, ObjectAttributes
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.request_fingerprints import fingerprint

ATTRIBUTES = ObjectAttributes(content_type="text/plain", metadata={"b": "ü", "a": "1"})


@pytest.mark.parametrize(
    ("asked", "recorded"),
    [
        ((5, 7, ATTRIBUTES, Condition(if_match="e")), "2b6e486045ffb8d0352bc053dbb9496f"),
        ((CopySource(bucket="a", key="b"), None, ANY, None), "aa771be9ab16b7824fa5d7df4d22d494"),
        (([(1, "x")], True), "2e308c2a805c02d066b0990cb6e1badb"),
    ],
)
def test_a_request_has_the_fingerprint_that_was_recorded_for_it_ever_since(asked, recorded):
    assert fingerprint(*asked).hex() == recorded
