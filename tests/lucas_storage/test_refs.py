from __future__ import annotations

import json
import pickle
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.errors import ArtifactNotFoundError, InvalidRefError, UnsafeFormatError
from lucas_storage.references.fields import is_filename
from lucas_storage.refs import ArtifactRef, inline_json, inline_ref, is_tagged

DIGEST = "sha256:" + "3f9c2a" + "0" * 58
ARRAY = ArtifactRef(
    store="prod", bucket="lucas-artifacts", key="a/3f9c", digest=DIGEST, size=8_000_128, format="npy@1", run="01J"
)

_keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=1024).filter(
    lambda key: not key.startswith("/")
)
_hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64)
_optional_hexadecimal = st.none() | _hexadecimal
_filenames = st.text(min_size=1, max_size=60).filter(is_filename)
_runs = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_formats = st.sampled_from(["npy@1", "acme/graph@12", "pickle5@1"])
_stored = st.builds(
    ArtifactRef,
    store=st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    bucket=st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True),
    key=_keys,
    digest=st.none() | _hexadecimal.map("sha256:{}".format),
    size=st.integers(0, 10**18),
    format=_formats,
    kind=st.sampled_from(["blob", "manifest"]),
    filename=st.none() | _filenames,
    run=st.none() | _runs,
    signature=_optional_hexadecimal,
)
_inline = st.builds(
    lambda form, payload, filename, signature: inline_ref(form, payload, filename=filename).signed(signature),
    _formats,
    st.binary(max_size=200),
    st.none() | _filenames,
    _optional_hexadecimal,
)


@given(_stored | _inline)
def test_every_reference_comes_back_from_its_uri_and_its_dict(ref):
    for written in (ref.uri, ref.to_json(), json.loads(json.dumps(ref.to_json()))):
        again = ArtifactRef.parse(written)

        assert ref == again
        assert (ref.signature, ref.uri) == (again.signature, again.uri)
        assert ref.uri.isascii()


@given(st.text(string.printable, max_size=80) | st.text(max_size=40))
def test_any_text_is_a_reference_or_refused_by_name(text):
    for uri in (text, "lucas:" + text, "lucas://s/bucket/k?n=1&f=npy@1&" + text, "lucas:inline?" + text):
        try:
            ref = ArtifactRef.parse(uri)
        except InvalidRefError:
            continue

        assert ref == ArtifactRef.parse(ref.uri)


def test_the_uri_is_the_one_that_is_documented():
    expected = f"lucas://prod/lucas-artifacts/a/3f9c?d={DIGEST}&n=8000128&f=npy%401&r=01J"

    assert expected == ARRAY.uri
    assert {"$artifact": expected} == ARRAY.to_json()
    assert inline_ref("json@1", b"null").uri == "lucas:inline?f=json@1&v=bnVsbA"


def test_an_inline_reference_carries_its_bytes_and_their_digest():
    ref = inline_ref("json@1", b"null")

    assert (ref.inline, ref.size, ref.kind) == (b"null", 4, "inline")
    assert ref.digest is not None
    assert ref.digest.startswith("sha256:74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b")


@pytest.mark.parametrize(
    "key", ["a b", "a/b/c", "a#b", "a&b=c?d", "ä/日本", "%41", "..", "a" * 1024, "日" * 1024, "a\nb"]
)
def test_awkward_keys_come_back(key):
    ref = ArtifactRef(bucket="bucket", key=key, size=0, format="bytes@1")

    assert key == ArtifactRef.parse(ref.uri).key


@given(_formats, st.binary(max_size=64))
def test_the_short_way_to_the_dict_of_inline_bytes_gives_the_same(format_id, data):
    assert inline_json(format_id, data) == inline_ref(format_id, data).to_json()


def test_unknown_query_names_are_ignored():
    assert ArtifactRef.parse(ARRAY.uri + "&zz=1&y=%C3%A4") == ARRAY


@pytest.mark.parametrize("name", ["!z", "%21z", "!"])
def test_query_names_that_must_be_understood_are_refused(name):
    with pytest.raises(InvalidRefError, match="upgrade"):
        ArtifactRef.parse(f"{ARRAY.uri}&{name}=1")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "lucas:",
        "lucas://",
        "lucas:inline?f=json@1",
        "lucas:inline?f=json@1&v=bnVsbA=",
        "lucas:inline?f=json@1&v=bnVsbB",
        "lucas:inline?f=json@1&v=b",
        "lucas:inline?v=bnVsbA",
        "LUCAS://s/bucket/k?n=1&f=npy@1",
        "https://s/bucket/k?n=1&f=npy@1",
        "lucas://s/bucket/k",
        "lucas://s/bucket/k?f=npy@1",
        "lucas://s/bucket/k?n=1",
        "lucas://s/bucket/k?n=1&f=npy",
        "lucas://s/bucket/k?n=1&f=../x@1",
        "lucas://s/bucket/k?n=-1&f=npy@1",
        "lucas://s/bucket/k?n=01&f=npy@1",
        "lucas://s/bucket/k?n=1_0&f=npy@1",
        "lucas://s/bucket/k?n=%D9%A1&f=npy@1",
        "lucas://s/bucket/k?n=1&n=2&f=npy@1",
        "lucas://s/bucket/k?n=1&f=npy@1&d=sha256:00",
        f"lucas://s/bucket/k?n=1&f=npy@1&d={DIGEST.upper()}",
        "lucas://s/bucket/k?n=1&f=npy@1&k=x",
        "lucas://s/bucket/k?n=1&f=npy@1&h=00",
        "lucas://s/bucket/k?n=1&f=npy@1&fn=..",
        "lucas://s/bucket/k?n=1&f=npy@1&fn=a%2Fb",
        "lucas://s/bucket/k?n=1&f=npy@1&fn",
        "lucas://s/bucket/k?n=1&f=npy@1#x",
        "lucas://s/bucket/k%zz?n=1&f=npy@1",
        "lucas://s/bucket/k%c3%a4?n=1&f=npy@1",
        "lucas://s/bucket/%C3?n=1&f=npy@1",
        "lucas://s/bucket/k\n?n=1&f=npy@1",
        "lucas://evil.host:1/bucket/k?n=1&f=npy@1",
        "lucas://user@host/bucket/k?n=1&f=npy@1",
        "lucas:///bucket/k?n=1&f=npy@1",
        "lucas://s/b/k?n=1&f=npy@1",
        "lucas://s/bucket/?n=1&f=npy@1",
        "lucas://s/bucket//k?n=1&f=npy@1",
        "lucas://s/bucket/k%00?n=1&f=npy@1",
    ],
)
def test_what_is_not_exactly_a_reference_is_refused(uri):
    with pytest.raises(InvalidRefError) as caught:
        ArtifactRef.parse(uri)

    assert ":" not in caught.value.message.split(";")[0]


@pytest.mark.parametrize("other", [None, 1, b"lucas:inline?f=json@1&v=", {}, {"$artifact": 1}, ["lucas:"]])
def test_other_values_are_refused_by_their_type(other):
    with pytest.raises(InvalidRefError, match="is not a reference"):
        ArtifactRef.parse(other)


def test_only_a_dict_of_one_tag_is_a_reference():
    assert is_tagged(ARRAY.to_json())

    for data in (
        {**ARRAY.to_json(), "more": 1},
        {"$artifact": "https://example.org"},
        {"$artifact": None},
        {"artifact": ARRAY.uri},
        {},
        [("$artifact", ARRAY.uri)],
        ARRAY.uri,
        ARRAY,
        None,
    ):
        assert not is_tagged(data)


def test_equality_and_hash_leave_out_the_signature_alone():
    signed = ARRAY.signed("0" * 64)

    assert signed == ARRAY
    assert len({signed, ARRAY}) == 1
    assert signed.uri != ARRAY.uri
    assert ArtifactRef(bucket="bucket", key="k", size=1, format="npy@1") != ARRAY


def test_showing_a_reference_is_short_and_tells_no_secret():
    signed = ARRAY.signed("5ec7e7" * 10 + "0000")

    assert "ArtifactRef(npy@1 7.6 MiB 3f9c2a…)" == repr(signed) == str(signed) == f"{signed}"
    assert repr(inline_ref("json@1", b"null")) == "ArtifactRef(json@1 4 B inline)"
    assert "unpinned" in repr(ArtifactRef(bucket="bucket", key="k", size=0, format="npy@1"))


def test_a_reference_is_immutable_true_and_survives_pickling():
    with pytest.raises(AttributeError):
        ARRAY.size = 1  # type: ignore[misc]

    assert bool(ARRAY)
    assert bool(ArtifactRef(bucket="bucket", key="k", size=0, format="bytes@1"))
    assert pickle.loads(pickle.dumps(ARRAY)) == ARRAY


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "inline"},
        {"inline": b""},
        {"kind": "blob", "inline": b"x"},
        {"kind": "directory"},
        {"size": True},
        {"size": 1.0},
        {"size": -1},
        {"size": 10**19},
        {"store": "Prod"},
        {"store": "localhost:9000"},
        {"filename": ""},
        {"filename": "a\ud800"},
        {"run": "a b"},
        {"digest": DIGEST + "\n"},
        {"key": "/a"},
        {"key": "\ud800"},
        {"bucket": ""},
    ],
)
def test_no_reference_breaks_a_rule_however_it_is_made(fields):
    with pytest.raises(InvalidRefError):
        ArtifactRef(**{"bucket": "bucket", "key": "k", "size": 1, "format": "npy@1", **fields})


def test_an_error_names_the_place_and_keeps_every_field_when_pickled():
    error = ArtifactNotFoundError("the artifact is gone; store it again", ref=ARRAY, function="train", param="x")
    again = pickle.loads(pickle.dumps(error))

    assert (again.ref, again.function, again.param, again.code) == (ARRAY, "train", "x", "NotFound")
    assert str(error) == str(again)
    assert str(error).startswith("[NotFound] parameter 'x' of 'train', the artifact is gone; ")
    assert (ARRAY.bucket, ARRAY.key) == (error.bucket, error.key)
    assert isinstance(UnsafeFormatError("no"), PermissionError)


def test_importing_the_foundation_loads_nothing_heavy():
    heavy = ["grpc", "google.protobuf", "numpy", "pyarrow", "pandas", "polars", "cloudpickle"]
    modules = ", ".join(f"lucas_storage.{name}" for name in ("refs", "errors", "settings", "signing", "formats"))
    script = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_a_reference_that_this_process_wrote_is_not_parsed():
    ref = inline_ref("json@1", b"[1]")

    assert ArtifactRef.parse(ref.to_json()) is ref


def test_references_that_differ_in_their_signature_alone_are_told_apart():
    ref = inline_ref("json@1", b"[2]")
    signed = ref.signed("0" * 64)

    assert ArtifactRef.parse(signed.to_json()).signature == "0" * 64
    assert ArtifactRef.parse(ref.to_json()).signature is None
