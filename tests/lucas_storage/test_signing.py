from __future__ import annotations

import pickle
import string
from dataclasses import replace

import pytest

from lucas_storage.errors import ArtifactError, InvalidRefError, UnsafeFormatError
from lucas_storage.refs import ArtifactRef, inline_ref
from lucas_storage.signing import SigningKeys, Verified, check_writable, demand, sign, verify

KEYS = SigningKeys((b"a secret of the writer and reader",))
REF = ArtifactRef(
    store="prod", bucket="bucket", key="a/x y", digest="sha256:" + "1f" * 32, size=4711, format="pickle5@1"
)
SIGNED = sign(REF, KEYS)


def test_a_signed_reference_is_verified_after_a_trip_as_text():
    proof = verify(ArtifactRef.parse(SIGNED.uri), KEYS)

    assert proof.ref == REF
    demand(proof, "pickle5@1", 4711)


def test_every_change_of_one_character_is_refused(thorough):
    uri = SIGNED.uri
    alphabet = string.ascii_letters + string.digits + "-._~:/?&=%@!+"
    step = 1 if thorough else 5
    accepted = []

    for at in range(len(uri)):
        for other in alphabet.replace(uri[at], "")[at % step :: step]:
            try:
                verify(ArtifactRef.parse(uri[:at] + other + uri[at + 1 :]), KEYS)
            except (InvalidRefError, UnsafeFormatError):
                continue
            accepted.append((at, other))

    assert accepted == []


@pytest.mark.parametrize(
    "change",
    [
        {"store": "dev"},
        {"bucket": "bucket2"},
        {"key": "a/y"},
        {"digest": "sha256:" + "1e" * 32},
        {"size": 4712},
        {"format": "pickle5@2"},
        {"kind": "manifest"},
    ],
)
def test_every_covered_field_is_covered(change):
    with pytest.raises(UnsafeFormatError):
        verify(replace(SIGNED, **change), KEYS)


def test_fields_cannot_be_shifted_into_each_other():
    one = sign(replace(REF, bucket="bucket", key="ab/c"), KEYS)
    other = sign(replace(REF, bucket="bucketa", key="b/c"), KEYS)

    assert one.signature != other.signature


def test_file_name_and_run_are_free():
    assert verify(replace(SIGNED, filename="model.pkl", run="01J"), KEYS).ref.filename == "model.pkl"


def test_the_first_key_signs_and_all_verify():
    old, new = KEYS.keys[0], b"another secret, the newer one"

    assert verify(SIGNED, SigningKeys((new, old)))
    assert sign(REF, SigningKeys((new, old))).signature == sign(REF, SigningKeys((new,))).signature


def test_inline_references_are_signed_over_their_bytes():
    signed = sign(inline_ref("pickle5@1", b"one"), KEYS)

    assert verify(ArtifactRef.parse(signed.uri), KEYS)
    with pytest.raises(UnsafeFormatError):
        verify(inline_ref("pickle5@1", b"two").signed(signed.signature), KEYS)


@pytest.mark.parametrize(
    ("ref", "keys", "says"),
    [
        (REF, KEYS, "not signed"),
        (SIGNED, SigningKeys((b"the secret of somebody else",)), "LUCAS_STORAGE_SIGNING_KEY"),
        (SIGNED, SigningKeys(), "secrets.token_urlsafe"),
        (SIGNED, SigningKeys(KEYS.keys, denied=True), "LUCAS_STORAGE_PICKLE=deny"),
        (replace(SIGNED, digest=None), KEYS, "without a digest"),
    ],
)
def test_whatever_is_wrong_is_refused_and_says_what_to_do(ref, keys, says):
    with pytest.raises(UnsafeFormatError) as caught:
        verify(ref, keys)

    assert says in str(caught.value)
    assert ref == caught.value.ref
    assert ":" not in str(caught.value).split(";")[0]


@pytest.mark.parametrize("keys", [SigningKeys(), SigningKeys(KEYS.keys, denied=True)])
def test_nothing_is_signed_without_a_key_or_against_the_policy(keys):
    with pytest.raises(UnsafeFormatError):
        sign(REF, keys)
    with pytest.raises(UnsafeFormatError, match=r"sklearn\.Pipeline can only be stored as a pickle"):
        check_writable(keys, "sklearn.Pipeline")


def test_a_proof_comes_from_verify_and_is_good_for_its_own_artifact_only():
    with pytest.raises(TypeError):
        Verified(REF, object())
    with pytest.raises(TypeError):
        pickle.dumps(verify(SIGNED, KEYS))

    for proof, size in ((None, 4711), (SIGNED, 4711), (verify(SIGNED, KEYS), 1)):
        with pytest.raises(UnsafeFormatError):
            demand(proof, "pickle5@1", size)


def test_keys_are_neither_shown_nor_shipped():
    assert "secret" not in f"{KEYS!r} {KEYS}"
    with pytest.raises(TypeError, match="never shipped"):
        pickle.dumps(KEYS)


def test_refusals_are_permission_errors_of_the_plugin():
    with pytest.raises(PermissionError) as caught:
        verify(REF, KEYS)

    assert isinstance(caught.value, ArtifactError)
