"""A pickle that this process's keys did not sign is never opened, however it comes; a canary file would tell."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from lucas_storage import ArtifactRef, Out, storage_context, with_storage
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.artifacts.body import EncodedBody
from lucas_storage.artifacts.manifest import Manifest, Part
from lucas_storage.errors import ArtifactError, UnsafeFormatError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import Encoded
from lucas_storage.formats.pickles import PickleFormat
from lucas_storage.refs import TAG, inline_ref
from lucas_storage.signing import SigningKeys, sign
from lucas_storage.storage import storage_for

FOREIGN = SigningKeys((b"the key of somebody else",))
SETTINGS = [{}, {"pickle": "deny"}, {"signing_key": "another key of sixteen"}]


class Canary:
    """Leaves a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path
        self.ballast = np.arange(2000)

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def planted(storage, canary):
    """References that a stranger with access to the bucket can make, by how they are made."""
    raw = bytes(PickleFormat().encode(Canary(canary)))
    body = EncodedBody(Encoded((raw,)))
    blob = storage.put(raw)
    part = Part(digest=body.digest, size=body.size, crc32c=f"{body.crc32c():08x}")
    text = EncodedBody(Encoded((Manifest(parts=(part,)).encode(),)))
    manifest = replace(storage.keep(text, format_by_id("bytes@1")), kind="manifest", size=body.size)
    storage.put_object(storage.bucket, "mine/unpinned", raw)
    refs = {
        "blob": blob,
        "manifest": manifest,
        "inline": inline_ref("pickle5@1", raw),
        "unpinned": replace(blob, key="mine/unpinned", digest=None),
    }
    unsigned = {name: replace(ref, format="pickle5@1") for name, ref in refs.items()}
    signed = {f"{name}-foreign": sign(ref, FOREIGN) for name, ref in unsigned.items() if ref.digest}
    moved = {f"{name}-made-up": ref.signed("0" * 64) for name, ref in unsigned.items()}
    return {**unsigned, **signed, **moved}


def carriers(storage, ref):
    """Return everything that can bring a reference to a function."""
    tagged = {TAG: ref.uri}
    yield ref
    yield tagged
    yield json.loads(json.dumps([{"deep": [tagged]}]))
    yield storage.put({"nested": ref, "more": "x" * 100_000})
    yield storage.put(iter([{"record": ref}]))


@pytest.mark.few(1)
@pytest.mark.parametrize("changed", SETTINGS, ids=str)
def test_no_forged_reference_opens_a_pickle(storage, planted, canary, changed, thorough):
    annotations = (object, dict, list[Any], np.ndarray, pd.DataFrame, str, bytes, Path, Iterator[Any])
    turns = 1 if thorough else 4  # the quick size meets every annotation with every carrier, but not with every name
    for at, (name, ref) in enumerate(planted.items()):
        for number, carrier in enumerate(carriers(storage, ref)):
            for annotation in annotations[(at + number) % turns :: turns]:

                def step(x):
                    return list(x) if isinstance(x, Iterator) else None

                step.__annotations__["x"] = annotation
                with storage_context(**changed), contextlib.suppress(ArtifactError, TypeError):
                    with_storage(step)(x=carrier)
            with storage_context(**changed), pytest.raises(UnsafeFormatError):
                with_storage(lambda x: None)(x=carrier)
        with storage_context(**changed), pytest.raises(UnsafeFormatError):
            storage_for().get(ref)
        assert not canary.exists(), name


def test_what_was_signed_is_not_opened_once_it_was_replaced(storage, canary, tmp_path):
    from lucas_storage.values.storing.policy import ByOptions
    from lucas_storage.values.storing.store_value import store_encoded

    honest = PickleFormat().encode({"a": np.arange(5000)})
    malicious = bytes(PickleFormat().encode(Canary(canary)))
    policy = ByOptions()()
    for large in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if large:
                patch.setattr("lucas_storage.values.storing.store_value.PART", 1000)
            ref = store_encoded(honest, PickleFormat(), policy)
        assert (ref.kind, ref.signature is not None) == ("manifest" if large else "blob", True)
        keys = [ref.key]
        if large:
            keys += [key_of(prefix_of(ref.key, ref.digest), part.digest) for part in storage.manifest(ref).reached()]
        for key in keys:
            kept_bytes = storage.get_object(ref.bucket, key)
            storage.put_object(ref.bucket, key, malicious)
            with pytest.raises(ArtifactError):
                storage.get(ref)
            storage.put_object(ref.bucket, key, kept_bytes)
        with pytest.raises(UnsafeFormatError):
            storage.get(replace(ref, kind="blob" if large else "manifest"))
    assert not canary.exists()


@pytest.mark.parametrize("requested", ["pickle5", "pickle5@1"])
def test_bytes_that_were_not_encoded_here_are_never_declared_a_pickle(storage, canary, tmp_path, requested):
    raw = bytes(PickleFormat().encode(Canary(canary)))
    (tmp_path / "raw").write_bytes(raw)

    def as_path():
        return tmp_path / "raw"

    def as_stream():
        yield raw

    for step in (as_path, as_stream):
        step.__annotations__["return"] = Annotated[Any, Out(requested)]
    for make in (
        with_storage(as_path),
        with_storage(as_stream),
        lambda: storage.put(io.BytesIO(raw), format=requested),
    ):
        with pytest.raises(UnsafeFormatError, match="not encoded here"):
            make()
    assert storage.get(storage.put(raw, format=requested)) == raw
    assert not canary.exists()


def test_a_reference_that_passes_through_is_not_signed(planted, canary):
    @with_storage
    def step(x: ArtifactRef) -> Annotated[Any, Out(name="renamed")]:
        return x

    for ref in planted.values():
        assert ArtifactRef.parse(step(x=ref)).signature == ref.signature
    assert not canary.exists()


def test_the_canary_sings_when_it_is_signed(storage, canary):
    storage.get(storage.put(Canary(canary), format="pickle5"))

    assert canary.is_dir()
