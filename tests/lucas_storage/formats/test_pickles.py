"""Pickles: opened with proof alone, of this Python alone, and refused with what is wrong."""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest

from lucas_storage.errors import (
    DecodeError,
    NoFormatError,
    UnsafeFormatError,
)
from lucas_storage.formats import format_by_id, format_for, pickles
from lucas_storage.formats.base import Encoded, MemorySource
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import sign, verify
from tests.lucas_storage.formats.round_trips import KEYS, Point, in_file, proof_for, round_trip

LARGE = np.arange(100_000, dtype="f8")


class Canary:
    """Leaves a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_never_opened_without_proof(tmp_path):
    canary = tmp_path / "alive"
    form = format_by_id("pickle5@1")
    encoded = form.encode(Canary(canary))
    data = bytes(encoded)
    ref = ArtifactRef(bucket="bucket", key="k", digest=encoded.digest(), size=encoded.size, format=form.id)
    other = proof_for(form, Encoded((b"other bytes",)))

    for proof in (None, ref, sign(ref, KEYS), object(), other):
        for source in (MemorySource(data), in_file(tmp_path, data)):
            with pytest.raises(UnsafeFormatError):
                form.decode(source, None, proof=proof)

    assert not canary.exists()
    form.decode(MemorySource(data), None, proof=verify(sign(ref, KEYS), KEYS))
    assert canary.exists()


def _written_by(python, value):
    form = format_by_id("pickle5@1")
    data = bytes(form.encode(value))
    size = int.from_bytes(data[8:16], "big")
    header = json.dumps({**json.loads(data[16 : 16 + size]), "python": python}).encode()
    return Encoded((data[:8], len(header).to_bytes(8, "big"), header, data[16 + size :]))


def test_code_of_another_python_is_refused_before_it_is_opened(tmp_path):
    canary = tmp_path / "alive"
    form = format_by_id("pickle5@1")
    encoded = _written_by("2.7", [lambda: 1, Canary(canary)])
    present = f"{sys.version_info.major}.{sys.version_info.minor}"

    with pytest.raises(DecodeError) as caught:
        form.decode(MemorySource(bytes(encoded)), None, proof=proof_for(form, encoded))

    assert "Python 2.7" in str(caught.value)
    assert f"Python {present}" in str(caught.value)
    assert not canary.exists()


def test_plain_data_of_another_python_is_read():
    form = format_by_id("pickle5@1")
    encoded = _written_by("2.7", 1 + 2j)

    assert form.decode(MemorySource(bytes(encoded)), None, proof=proof_for(form, encoded)) == 1 + 2j


def test_functions_travel_by_value():
    offset = 3

    assert round_trip(lambda x: x + offset, MemorySource)(2) == 5


def test_a_pickle_that_is_cut_or_cannot_be_opened_is_a_decode_error():
    form = format_by_id("pickle5@1")
    data = bytes(form.encode(Point(1, LARGE)))
    gone = form.encode(Point(1))
    unknown = bytes(gone).replace(b"Point", b"Poinx")
    for damaged in (data[:100], data[:-1], data + b"x", data.replace(b"LUCASPK5", b"LUCASPK6"), unknown, b""):
        encoded = Encoded((damaged,))

        with pytest.raises(DecodeError):
            form.decode(MemorySource(damaged), None, proof=proof_for(form, encoded))


def test_what_cannot_be_pickled_is_refused_with_its_cause():
    lock = threading.Lock()

    with pytest.raises(NoFormatError, match="register_format") as caught:
        format_for(lock).encode(lock)

    assert isinstance(caught.value.__cause__, (TypeError, pickle.PicklingError))


def test_the_first_pickle_of_a_type_is_logged_and_no_other(caplog):
    pickles._logged.clear()
    with caplog.at_level(logging.WARNING):
        for value in (Point(1), Point(2), Fraction(1)):
            format_for(value).encode(value)

    assert [record.args[0].rpartition(".")[2] for record in caplog.records] == ["Point", "Fraction"]
