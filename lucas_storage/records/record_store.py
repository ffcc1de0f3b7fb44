"""Records: small JSON objects beside the artifacts, in the default bucket, each kind under a prefix of its own.

::

    memo/<2 digits>/<key>.json            the result of a call
    checkpoints/<2 digits>/<key>.json     the saved state of a step
    names/<name>/<ulid>.json              a publication under a name; beside them versions/ and aliases/
    runs/<ulid>/run.json                  a run; beside it steps/<ulid>.json
    lineage/<digest>/<role>/<run>.json    an artifact in a run; more in `run_index`
    gc/marked.json                        the objects that the next collection may remove

The prefixes are forever. A record is ``json@1``, so references in it are references. A small one is repeated in the
metadata of its object, so that one short call finds it, and a listing finds many. Everybody who can write to the bucket
can write a record, so none is trusted: its artifacts are verified like those of any reference, and a pickle is used
only if its reference is signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import BytesIO
from typing import Any, Final, NamedTuple

from actorc.storage.errors import BucketNotFoundError, NotFoundError
from actorc.storage.models import NewObject, ObjectHead
from lucas_storage import parallel, settings, signing
from lucas_storage.artifacts.body import EncodedBody
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DigestMismatchError,
    UnknownFormatError,
    UnknownStoreError,
    UnsafeFormatError,
)
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import Encoded
from lucas_storage.refs import ArtifactRef

from . import record_text

MEMO: Final = "memo/"
CHECKPOINTS: Final = "checkpoints/"
NAMES: Final = "names/"
RUNS: Final = "runs/"
LINEAGE: Final = "lineage/"
MARKED: Final = "gc/marked.json"

_METADATA_COPY: Final = "lucas-record"
"""Name of the metadata that repeats a small record; forever."""
_METADATA_MAX: Final = 1536
"""Bytes of a record that is repeated in metadata; stores behind a gateway take no more than 2 KiB of metadata."""
_ESCAPED_MAX: Final = 1720
"""Bytes of it as a gateway escapes it, which takes 1792 with the name: a quote or a backslash are two, a space six."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it was read."""

    key: str
    content: dict[str, Any] | None
    """References in it are `ArtifactRef`; None if the object is no record."""
    etag: str
    modified: datetime
    """Aware, UTC."""


class StoredRecord(NamedTuple):
    """A record as it is stored."""

    key: str
    text: bytes
    etag: str
    modified: datetime
    """Aware, UTC."""


def record_key(prefix: str, key: str) -> str:
    """Return the object key of the record that is found by `key`, 64 hexadecimal digits."""
    return f"{prefix}{key[:2]}/{key}.json"


def step_key(run: str, step: str) -> str:
    """Return the object key of the record of a step."""
    return f"{RUNS}{run}/steps/{step}.json"


def read(storage: ArtifactStore, key: str) -> Record | None:
    """Return a record, or None if there is no object; an object that is no record has the content None."""
    try:
        # One call for a small record, whose text is in the metadata; a larger one is read in a second call.
        return read_listed(storage, storage.head_object(storage.bucket, key))
    except NotFoundError:
        return None


def read_listed(storage: ArtifactStore, head: ObjectHead) -> Record | None:
    """Return the record that `head` describes, as it is now; None if it was removed meanwhile."""
    repeated = _repeated(head)
    if repeated is not None:
        return _decoded(repeated)
    buffer = BytesIO()
    try:
        head = storage.download_to_stream(storage.bucket, head["key"], buffer)
    except NotFoundError:
        return None
    return _decoded(StoredRecord(head["key"], buffer.getvalue(), head["etag"], head["last_modified"]))


def _repeated(head: ObjectHead) -> StoredRecord | None:
    """Return the record that the metadata of its object repeat, if they do."""
    text = head["metadata"].get(_METADATA_COPY)
    return None if text is None else StoredRecord(head["key"], text.encode(), head["etag"], head["last_modified"])


def _decoded(record: StoredRecord) -> Record:
    return Record(key=record.key, content=record_text.decode(record.text), etag=record.etag, modified=record.modified)


def read_mentioning(storage: ArtifactStore, heads: Iterable[ObjectHead], texts: Iterable[str]) -> list[Record]:
    """Return those of the records that `heads` describe that may have one of these texts in them, as `read_all` does.

    Args:
        storage: Its default bucket is read.
        heads: Of the records.
        texts: Digits of digests, or what else stands in a record as it is.
    """
    wanted = list(texts)
    # Before they are decoded, which takes ten times as long.
    repeated = ((head, head["metadata"].get(_METADATA_COPY)) for head in heads)
    return read_all(storage, (head for head, text in repeated if text is None or any(each in text for each in wanted)))


def read_all(storage: ArtifactStore, heads: Iterable[ObjectHead]) -> list[Record]:
    """Return the records that `heads` describe, in order: those that are not in the metadata by few calls together.

    Records that were removed meanwhile are left out.
    """
    return list(map(_decoded, stored_records(storage, heads)))


def stored_records(storage: ArtifactStore, heads: Iterable[ObjectHead]) -> list[StoredRecord]:
    """Return the records that `heads` describe, as `read_all` does, undecoded."""
    listed = list(heads)
    repeated = {head["key"]: _repeated(head) for head in listed}
    read = _stored_under(storage, [key for key, record in repeated.items() if record is None])
    others = {record.key: record for record in read}
    found = (repeated[head["key"]] or others.get(head["key"]) for head in listed)
    return [record for record in found if record is not None]


def read_keys(storage: ArtifactStore, keys: Sequence[str]) -> list[Record]:
    """Return the records with these keys, in order, read in few calls; those that are not there are left out."""
    return list(map(_decoded, _stored_under(storage, keys)))


def _stored_under(storage: ArtifactStore, keys: Sequence[str]) -> list[StoredRecord]:
    if not keys:
        return []
    try:
        answer = storage.get_objects(storage.bucket, keys)
    except BucketNotFoundError:
        return []
    for error in answer["errors"].values():
        if not isinstance(error, NotFoundError):
            raise error
    return [StoredRecord(each["key"], each["data"], each["etag"], each["last_modified"]) for each in answer["objects"]]


def heads(storage: ArtifactStore, prefix: str) -> Iterator[ObjectHead]:
    """Yield the heads of all objects whose keys begin with `prefix`; none if there is no bucket yet."""
    return _listed(storage, prefix, details=True)


def keys(storage: ArtifactStore, prefix: str) -> Iterator[str]:
    """Yield all keys that begin with `prefix`, for which no store is asked for each; none if there is no bucket yet."""
    return (head["key"] for head in _listed(storage, prefix, details=False))


def _listed(storage: ArtifactStore, prefix: str, *, details: bool) -> Iterator[ObjectHead]:
    try:
        yield from storage.iter_objects(storage.bucket, prefix, details=details)
    except BucketNotFoundError:
        return


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record to be written later, as it was when it was prepared."""

    storage: ArtifactStore
    key: str
    text: bytes

    @property
    def place(self) -> tuple[int, str]:
        """Tells it from records of other keys and stores."""
        return id(self.storage), self.key

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of its object."""
        # ASCII only: other text may be refused or changed as a header on its way to a store.
        is_repeated = len(self.text) <= _METADATA_MAX and self.text.isascii() and _escaped(self.text) <= _ESCAPED_MAX
        return {_METADATA_COPY: self.text.decode()} if is_repeated else {}


def _escaped(text: bytes) -> int:
    return len(text) + text.count(b'"') + text.count(b"\\") + 5 * text.count(b" ")


def prepare(storage: ArtifactStore, key: str, content: dict[str, Any]) -> Prepared:
    """Return a record to be written to the default bucket of `storage`; `content` may change afterwards."""
    return Prepared(storage, key, record_text.encode(content))


def write(storage: ArtifactStore, key: str, content: dict[str, Any], **conditions: Any) -> None:
    """Write a record.

    Args:
        storage: Its default bucket takes it.
        key: Object key.
        content: JSON data and `ArtifactRef`.
        conditions: ``if_absent``, ``if_match``, ``timeout``, as `put_object` takes them.

    Raises:
        AlreadyExistsError: `if_absent`, and there is one.
        PreconditionFailedError: The record there is not the one of `if_match`.
    """
    record = prepare(storage, key, content)
    body = EncodedBody(Encoded((record.text,)))
    storage.send(key, body, record_text.content_type(), metadata=record.metadata, **conditions)


def write_all(records: Iterable[Prepared], timeout: float) -> None:
    """Write records, those of one store in one call.

    Args:
        records: Each of another place.
        timeout: Seconds for each call.

    Raises:
        StorageError: Of the first record that could not be written; others may be.
    """
    by_store: dict[int, list[Prepared]] = {}
    for record in records:
        by_store.setdefault(id(record.storage), []).append(record)
    for members in by_store.values():
        objects = [_new_object(record) for record in members]
        members[0].storage.send_all(objects, timeout)


def _new_object(record: Prepared) -> NewObject:
    return {
        "key": record.key,
        "data": record.text,
        "content_type": record_text.content_type(),
        "metadata": record.metadata,
    }


def is_trusted(ref: ArtifactRef) -> bool:
    """Return whether a reference in a record may be passed on: its format is safe to read, or it is signed."""
    # Checked here as well as where it is loaded, so that an unsigned pickle counts as no record, not as an error.
    try:
        if not format_by_id(ref.format).safe:
            signing.verify(ref, settings.resolve().signing_keys)
    except (UnknownFormatError, UnsafeFormatError):
        return False
    return True


def all_exist(storage: ArtifactStore, refs: Iterable[ArtifactRef]) -> bool:
    """Return whether every artifact is there, by one call each, several at once."""
    stored = [ref for ref in refs if ref.inline is None]
    return all(parallel.each(partial(_exists, storage), stored))


def _exists(storage: ArtifactStore, ref: ArtifactRef) -> bool:
    try:
        storage.stat(ref)
    except (ArtifactNotFoundError, DigestMismatchError, UnknownStoreError):
        # A store that does not answer is an error, not a missing artifact: the step would run again for nothing.
        return False
    return True
