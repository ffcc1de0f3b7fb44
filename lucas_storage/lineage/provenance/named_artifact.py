"""The artifact that a text names: a reference, a published name, a digest or the beginning of one, or an object."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError
from lucas_storage.artifacts.blobs import key_of
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import ArtifactNotFoundError, InvalidRefError
from lucas_storage.records import published_names, record_store
from lucas_storage.records.index import run_index
from lucas_storage.refs import ArtifactRef

_URI: Final = "lucas://"
_BEGINNING: Final = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
_BLOB: Final = re.compile(r"(.+)/sha256/([0-9a-f]{2})/(\2[0-9a-f]{62})")
_BYTES: Final = "bytes@1"
"""The format of an object of which no record tells."""


def parsed(given: object) -> ArtifactRef | None:
    """Return the reference that `given` is or spells; None if it can only be a name, a digest or an object.

    Raises:
        InvalidRefError: It begins as a reference, and is none.
    """
    if not isinstance(given, str):
        return ArtifactRef.parse(given)
    if given.startswith("lucas:") and "?" in given:
        return ArtifactRef.parse(given)
    if not given.lstrip().startswith("{"):
        return None
    try:
        return ArtifactRef.parse(json.loads(given))
    except InvalidRefError as error:
        raise InvalidRefError("this is no reference; pass one as it travels between steps, or its URI") from error
    except ValueError as error:
        raise InvalidRefError("the text is not JSON; pass a reference as it travels, or its URI") from error


def artifact_named(storage: ArtifactStore, text: str) -> ArtifactRef:
    """Return the artifact that a text names in the default bucket.

    Args:
        storage: Its default bucket holds the artifact.
        text: A published ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION``; else a digest, with ``sha256:`` or without, or
            at least six digits that only one begins with; else the key of an object, or its ``lucas://`` name.

    Raises:
        ArtifactNotFoundError: There is nothing so named.
        InvalidParameterError: Several digests begin so, or the object is in another bucket.
    """
    if "/" in text:
        return _of_key(storage, _key(storage, text))
    if not text.startswith("sha256:"):
        found = _published(storage, text)
        if found is not None:
            return found
    beginning = _BEGINNING.fullmatch(text)
    digits = _digits(storage, beginning[1]) if beginning else None
    if digits is not None:
        return _of_digits(storage, digits)
    if not text.startswith("sha256:") and storage.object_exists(storage.bucket, text):
        return _of_key(storage, text)
    raise ArtifactNotFoundError(
        f"there is no artifact {text!r:.100} in bucket {storage.bucket!r}; pass a reference, a published name, a "
        "digest or six digits of it at least, or the key of an object"
    )


def _published(storage: ArtifactStore, text: str) -> ArtifactRef | None:
    try:
        return published_names.lookup(storage, text)
    except (ArtifactNotFoundError, InvalidParameterError):
        return None


def _key(storage: ArtifactStore, text: str) -> str:
    bucket, _, key = text.removeprefix(_URI).partition("/")
    # With 'lucas://' the store or the bucket comes first; both are written by people.
    if text.startswith(_URI) and bucket != storage.bucket:
        bucket, _, key = key.partition("/")
    if text.startswith(_URI) and bucket != storage.bucket:
        raise InvalidParameterError(
            f"artifacts and their records are in bucket {storage.bucket!r}, and {text!r:.100} is in another; set "
            "LUCAS_STORAGE_BUCKET to look there"
        )
    return key if bucket == storage.bucket else text


def _of_key(storage: ArtifactStore, key: str) -> ArtifactRef:
    blob = _BLOB.fullmatch(key)
    if blob is not None:
        return _of_digits(storage, blob[3], key)
    try:
        head = storage.head_object(storage.bucket, key)
    except FileNotFoundError as error:
        raise ArtifactNotFoundError(
            f"bucket {storage.bucket!r} has no object {key!r:.100}; 'lucas-storage ls' lists those there are"
        ) from error
    return ArtifactRef(store=storage.store_name, bucket=storage.bucket, key=key, size=head["size"], format=_BYTES)


def _of_digits(storage: ArtifactStore, digits: str, key: str | None = None) -> ArtifactRef:
    """Return the reference of a digest, as runs know it, or else as an object of any bytes."""
    for role in run_index.ROLES:
        for entry in run_index.entries(storage, digits, role, 1):
            if entry.ref is not None:
                return entry.ref
    place = key or key_of(storage.prefix, digits)
    try:
        head = storage.head_object(storage.bucket, place)
    except FileNotFoundError as error:
        raise ArtifactNotFoundError(
            f"no run knows an artifact of digest {digits[:12]}…, and bucket {storage.bucket!r} has none"
        ) from error
    fields: dict[str, Any] = {"store": storage.store_name, "bucket": storage.bucket, "key": place}
    return ArtifactRef(**fields, digest=f"sha256:{digits}", size=head["size"], format=_BYTES)


def _digits(storage: ArtifactStore, beginning: str) -> str | None:
    """Return the digits of the only digest that begins so; None if there is none.

    Raises:
        InvalidParameterError: There are several.
    """
    if len(beginning) == 64:
        return beginning
    found = {name.rstrip("/")[-64:] for name in _names(storage, f"{record_store.LINEAGE}{beginning}")}
    found |= {name[-64:] for name in _names(storage, key_of(storage.prefix, f"{beginning:-<64}").rstrip("-"))}
    found = {digits for digits in found if re.fullmatch(r"[0-9a-f]{64}", digits)}
    if len(found) > 1:
        raise InvalidParameterError(f"several digests begin with {beginning!r}; give more of it")
    return next(iter(found), None)


def _names(storage: ArtifactStore, prefix: str) -> list[str]:
    try:
        page = storage.list_objects(storage.bucket, prefix, 2, delimiter="/")
    except BucketNotFoundError:
        return []
    return [*(head["key"] for head in page["objects"]), *page["common_prefixes"]]
