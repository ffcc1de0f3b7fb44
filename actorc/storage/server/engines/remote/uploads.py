"""Multipart uploads: each part is an object of the store, and completion streams the parts into one object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from heapq import nsmallest
from typing import Any, Final, NamedTuple

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, PartInfo, UploadInfo, UploadPage
from actorc.storage.rules import MAX_CHUNK_SIZE, MAX_PARTS, KiB
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.blocks import joined_checksum
from actorc.storage.server.engines.errors import upload_missing
from actorc.storage.server.engines.etags import etag_of, upload_id_of
from actorc.storage.server.engines.preconditions import check_precondition, chosen_parts
from actorc.storage.server.engines.request_fingerprints import fingerprint
from actorc.storage.server.engines.times import utc

from .key_layout import KeyLayout
from .object_metadata import call_id
from .object_store import Backend
from .publish import Publisher, Target, current_etag
from .spool import Spool
from .stored_fields import LAST_US, number, texts

_ID: Final = re.compile(r"[0-9a-f]{48}")
_PART: Final = re.compile(r"(\d{5})-([0-9a-f]{16})-([0-9a-f]{8})")
_DESCRIPTION: Final = "upload"
"""Name of the object that describes an upload, beside its parts."""
_MAX_DESCRIPTION: Final = 128 * KiB
"""Bytes of a description: the longest key and all metadata that the rules allow, as JSON escapes them."""
_BATCH: Final = 1000


class UploadDescription(NamedTuple):
    """An upload under way."""

    key: str
    created_us: int
    attributes: ObjectAttributes
    condition: Condition

    def encoded(self) -> bytes:
        """Return the serialized upload."""
        plain = {
            "key": self.key,
            "created_us": self.created_us,
            "content_type": self.attributes.content_type,
            "metadata": dict(self.attributes.metadata),
            "if_absent": self.condition.if_absent,
            "if_match": self.condition.if_match,
        }
        return json.dumps(plain).encode()

    @classmethod
    def decoded(cls, data: bytes) -> UploadDescription | None:
        """Return the upload that `encoded` serialized; None if the data are of another form."""
        try:
            plain: dict[str, Any] = json.loads(data)
            key, content_type, etag = plain["key"], plain["content_type"], plain["if_match"]
            texts({"key": key, "content_type": content_type, "if_match": etag or ""})
            attributes = ObjectAttributes(content_type=content_type, metadata=texts(plain["metadata"]))
            condition = Condition(if_absent=bool(plain["if_absent"]), if_match=etag)
            return cls(key, number(str(plain["created_us"]), LAST_US), attributes, condition)
        except (KeyError, TypeError, ValueError, RecursionError):
            return None


class Part(NamedTuple):
    """A part, and its name in the store."""

    info: PartInfo
    name: str


class Uploads:
    """The multipart uploads of all buckets. Any thread may call it.

    Args:
        backend: The store.
        names: KeyLayout in the store.
        publisher: Publishes completed uploads.
        threads: Runs requests in parallel.
        staging: Directory for objects that must be spooled.
    """

    def __init__(
        self, backend: Backend, names: KeyLayout, publisher: Publisher, threads: Executor, staging: str | None
    ) -> None:
        self._backend = backend
        self._names = names
        self._publisher = publisher
        self._threads = threads
        self._staging = staging

    def create(self, target: Target) -> str:
        """Begin an upload and return its id.

        Raises:
            AlreadyExistsError: The condition demands that there is no object, and there is one.
            PreconditionFailedError: The condition demands another etag.
        """
        if target.condition != ANY:
            self._check_condition(target.bucket, target.key, target.condition)
        upload_id = upload_id_of(self._publisher.next_generation())
        begun = UploadDescription(target.key, self._publisher.now_us(), target.attributes, target.condition)
        self._backend.put(self._at(target.bucket, upload_id, _DESCRIPTION), begun.encoded(), {})
        return upload_id

    def find(self, bucket: str, key: str, upload_id: str) -> UploadDescription:
        """Return an upload.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
        """
        begun = self._load(bucket, upload_id)
        if begun is None or begun.key != key:
            raise upload_missing(bucket, key)
        return begun

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, spool: Spool) -> PartInfo:
        """Add a part, replacing an earlier one of the same number.

        Raises:
            UploadNotFoundError: The upload has ended meanwhile.
        """
        generation, crc, size = self._publisher.next_generation(), spool.checksum(), spool.size
        name = self._at(bucket, upload_id, f"{number:05}-{generation:016x}-{crc:08x}")
        with spool.as_view() as body:
            self._backend.put(name, body, {})
        # checked last, so that no part remains of an upload that has ended
        if self._backend.head(self._at(bucket, upload_id, _DESCRIPTION)) is None:
            self._backend.delete([name])
            raise upload_missing(bucket, key)
        return _part_info(number, size, generation, crc)

    def parts(self, bucket: str, upload_id: str) -> dict[int, Part]:
        """Return the parts of an upload by number, in order."""
        found = (_part(name.name, name.size) for name in self._backend.names(self._names.upload(bucket, upload_id)))
        # the names of one number are in order of generation, so the last one counts
        return {part.info.number: part for part in found if part}

    def complete(
        self, target: Target, upload_id: str, choices: Sequence[PartChoice], idempotency_key: str
    ) -> ObjectInfo:
        """Make the object of `choices` and end the upload.

        Args:
            target: The object to make; its attributes come from the beginning of the upload.
            upload_id: The result of `create`.
            choices: The parts, in order.
            idempotency_key: Unique per logical completion.
        """
        bucket, key = target.bucket, target.key
        call = call_id(f"complete {upload_id}", idempotency_key)
        asked = list(choices), target.condition
        begun = self._load(bucket, upload_id)
        if begun is None or begun.key != key:
            if made := self._publisher.made_by(bucket, key, call, fingerprint(*asked)):
                return made
            raise upload_missing(bucket, key)
        stored = self.parts(bucket, upload_id)
        chosen_parts(choices, {number: part.info for number, part in stored.items()})
        target = target._replace(call=call, asked=asked, names_bytes=True)
        wanted = target._replace(attributes=begun.attributes, condition=self._joined(target, begun))
        made = self._make(wanted, [stored[choice.number] for choice in choices])
        self.drop(bucket, upload_id)
        return made

    def drop(self, bucket: str, upload_id: str) -> None:
        """Remove an upload and its parts."""
        # the description first: without it no part can be added, and what a crash leaves is swept
        self._backend.delete([self._at(bucket, upload_id, _DESCRIPTION)])
        self._remove(self._names.upload(bucket, upload_id))

    def drop_all(self, bucket: str) -> None:
        """Remove the uploads of a bucket and their parts."""
        self._remove(self._names.uploads(bucket))

    def page(self, bucket: str, prefix: str, after: tuple[str, str] | None, limit: int) -> UploadPage:
        """Return the first `limit` uploads behind `after` whose keys begin with `prefix`."""
        ids = [folder.rpartition("/")[2] for folder in self._backend.folders(self._names.uploads(bucket))]
        least = (after[0].encode(), after[1]) if after else (b"", "")
        loaded = zip(ids, self._threads.map(partial(self._load, bucket), ids), strict=True)
        below = ((begun.key.encode(), upload_id, begun) for upload_id, begun in loaded if begun)
        wanted = (each for each in below if each[0].startswith(prefix.encode()) and each[:2] > least)
        first = nsmallest(limit + 1, wanted, key=lambda each: each[:2])
        infos = [
            UploadInfo(bucket=bucket, key=begun.key, upload_id=upload_id, created_at=utc(begun.created_us))
            for _, upload_id, begun in first[:limit]
        ]
        return UploadPage.of(infos, more=len(first) > limit)

    def sweep(self, abandoned: datetime) -> None:
        """Remove the uploads whose beginning and last part are older than `abandoned`, by the store's clock."""
        folder, newest = "", abandoned
        for name in self._backend.names(self._names.uploads()):
            found = name.name.rpartition("/")[0]
            if found != folder and folder and newest < abandoned:
                self._remove(folder)
            newest = max(newest, name.last_modified) if found == folder else name.last_modified
            folder = found
        if folder and newest < abandoned:
            self._remove(folder)

    def _make(self, target: Target, parts: Sequence[Part]) -> ObjectInfo:
        size = sum(part.info.size for part in parts)
        crc = joined_checksum((part.info.crc32c, part.info.size) for part in parts)
        body = self._bytes(target, parts)
        if self._publisher.is_streamed(target, size):
            return self._publisher.stream(target, body, size, crc)
        spool = Spool(self._staging, size)
        try:
            for piece in body:
                spool.write(piece, crc32c(piece))
            return self._publisher.publish(target, spool)
        finally:
            spool.drop()

    def _bytes(self, target: Target, parts: Sequence[Part]) -> Iterator[bytes]:
        for part in parts:
            found = self._backend.get(part.name)
            if found is None:
                raise upload_missing(target.bucket, target.key)
            sent = 0
            for piece in found.body:
                for start in range(0, len(piece), MAX_CHUNK_SIZE):
                    data = bytes(piece[start : start + MAX_CHUNK_SIZE])
                    sent = crc32c(data, sent)
                    yield data
            if sent != part.info.crc32c:
                raise IntegrityError(f"the store sent part {part.info.number} damaged; upload it again")

    def _joined(self, target: Target, begun: UploadDescription) -> Condition:
        """Return the one of two conditions to send with the request; the other one is checked here.

        Raises:
            AlreadyExistsError: One of them is not met.
            PreconditionFailedError: One of them is not met.
        """
        if ANY in {target.condition, begun.condition}:
            return begun.condition if target.condition == ANY else target.condition
        # a repeated call finds the object that it made, which the conditions need not allow
        if self._publisher.made_by(target.bucket, target.key, target.call, fingerprint(*target.asked)) is None:
            for condition in (begun.condition, target.condition):
                self._check_condition(target.bucket, target.key, condition)
        return target.condition

    def _check_condition(self, bucket: str, key: str, condition: Condition) -> None:
        check_precondition(condition, current_etag(self._publisher.find(bucket, key)), bucket, key)

    def _load(self, bucket: str, upload_id: str) -> UploadDescription | None:
        """Return an upload; None if there is none, or what is stored in its place is no description of one."""
        found = self._backend.get(self._at(bucket, upload_id, _DESCRIPTION)) if _ID.fullmatch(upload_id) else None
        if found is None or found.size > _MAX_DESCRIPTION:
            return None
        return UploadDescription.decoded(b"".join(found.body))

    def _at(self, bucket: str, upload_id: str, what: str) -> str:
        return f"{self._names.upload(bucket, upload_id)}/{what}"

    def _remove(self, folder: str) -> None:
        batch: list[str] = []
        for name in self._backend.names(folder):
            batch.append(name.name)
            if len(batch) == _BATCH:
                self._backend.delete(batch)
                batch = []
        if batch:
            self._backend.delete(batch)


def _part(name: str, size: int) -> Part | None:
    found = _PART.fullmatch(name.rpartition("/")[2])
    if found is None:
        return None
    try:
        generation, part = number(found[2], LAST_US, base=16), number(found[1], MAX_PARTS)
    except ValueError:
        return None
    return Part(_part_info(part, size, generation, int(found[3], 16)), name)


def _part_info(number: int, size: int, generation: int, crc: int) -> PartInfo:
    return PartInfo(number=number, size=size, etag=etag_of(generation, crc), crc32c=crc, last_modified=utc(generation))
