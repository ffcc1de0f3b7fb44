"""Objects that come in parts: every part is an object of the store, and completing them streams them into one."""

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
from actorc.storage.rules import MAX_CHUNK_SIZE
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.blocks import joined_checksum
from actorc.storage.server.engines.preconditions import (
    choose,
    etag_of,
    fingerprint,
    judge,
    upload_id_of,
    upload_missing,
    utc,
)

from .key_layout import Names
from .object_metadata import call_id
from .object_store import Backend
from .publish import Commits, Target, present_etag
from .spool import Spool

_ID: Final = re.compile(r"[0-9a-f]{48}")
_PART: Final = re.compile(r"(\d{5})-([0-9a-f]{16})-([0-9a-f]{8})")
_HEAD: Final = "upload"
"""Name of what tells about an upload, beside its parts."""
_BATCH: Final = 1000


class Begun(NamedTuple):
    """An upload under way."""

    key: str
    created_us: int
    attributes: ObjectAttributes
    condition: Condition

    def encoded(self) -> bytes:
        """Return it as bytes of an object."""
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
    def decoded(cls, data: bytes) -> Begun:
        """Return what `encoded` was called on."""
        plain: dict[str, Any] = json.loads(data)
        attributes = ObjectAttributes(content_type=plain["content_type"], metadata=plain["metadata"])
        condition = Condition(if_absent=plain["if_absent"], if_match=plain["if_match"])
        return cls(plain["key"], plain["created_us"], attributes, condition)


class Part(NamedTuple):
    """A part, and where it is."""

    info: PartInfo
    name: str


class Uploads:
    """The uploads of all buckets.

    Args:
        backend: The store.
        names: What things are called there.
        commits: Makes objects of them.
        threads: Ask for several things at once.
        staging: Directory for what must be staged whole.
    """

    def __init__(
        self, backend: Backend, names: Names, commits: Commits, threads: Executor, staging: str | None
    ) -> None:
        self._backend = backend
        self._names = names
        self._commits = commits
        self._threads = threads
        self._staging = staging

    def create(self, target: Target) -> str:
        """Begin an upload and return its id.

        Raises:
            AlreadyExistsError: The condition demands an absent object, and there is one.
            PreconditionFailedError: It demands another object.
        """
        if target.condition != ANY:
            self._judge(target.bucket, target.key, target.condition)
        upload_id = upload_id_of(self._commits.next_generation())
        begun = Begun(target.key, self._commits.now_us(), target.attributes, target.condition)
        self._backend.put(self._at(target.bucket, upload_id, _HEAD), begun.encoded(), {})
        return upload_id

    def find(self, bucket: str, key: str, upload_id: str) -> Begun:
        """Return an upload.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
        """
        begun = self._load(bucket, upload_id)
        if begun is None or begun.key != key:
            raise upload_missing(bucket, key)
        return begun

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, spool: Spool) -> PartInfo:
        """Add a part, in place of an earlier one of its number.

        Raises:
            UploadNotFoundError: The upload ended meanwhile.
        """
        generation, crc, size = self._commits.next_generation(), spool.checksum(), spool.size
        name = self._at(bucket, upload_id, f"{number:05}-{generation:016x}-{crc:08x}")
        with spool.taken() as body:
            self._backend.put(name, body, {})
        # asked last, so that no part stays behind an upload that ended
        if self._backend.head(self._at(bucket, upload_id, _HEAD)) is None:
            self._backend.delete([name])
            raise upload_missing(bucket, key)
        return _part_info(number, size, generation, crc)

    def parts(self, bucket: str, upload_id: str) -> dict[int, Part]:
        """Return the parts of an upload by number, in order."""
        found = (_part(name.name, name.size) for name in self._backend.names(self._names.upload(bucket, upload_id)))
        # in order of generation within a number: the last one counts
        return {part.info.number: part for part in found if part}

    def complete(
        self, target: Target, upload_id: str, choices: Sequence[PartChoice], idempotency_key: str
    ) -> ObjectInfo:
        """Make the object of `choices` and end the upload.

        Args:
            target: What it is to become, but for what the beginning of the upload says.
            upload_id: As `create` returned it.
            choices: The parts, in order.
            idempotency_key: Unique per logical completion.
        """
        bucket, key = target.bucket, target.key
        call = call_id(f"complete {upload_id}", idempotency_key)
        asked = list(choices), target.condition
        begun = self._load(bucket, upload_id)
        if begun is None or begun.key != key:
            if made := self._commits.made_by(bucket, key, call, fingerprint(*asked)):
                return made
            raise upload_missing(bucket, key)
        present = self.parts(bucket, upload_id)
        choose(choices, {number: part.info for number, part in present.items()})
        target = target._replace(call=call, asked=asked, names_bytes=True)
        wanted = target._replace(attributes=begun.attributes, condition=self._joined(target, begun))
        made = self._make(wanted, [present[choice.number] for choice in choices])
        self.drop(bucket, upload_id)
        return made

    def drop(self, bucket: str, upload_id: str) -> None:
        """Remove an upload and its parts."""
        self._backend.delete([self._at(bucket, upload_id, _HEAD)])
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
        infos = tuple(
            UploadInfo(bucket=bucket, key=begun.key, upload_id=upload_id, created_at=utc(begun.created_us))
            for _, upload_id, begun in first[:limit]
        )
        more = len(first) > limit
        return UploadPage(uploads=infos, next_after=(infos[-1].key, infos[-1].upload_id) if more else None)

    def sweep(self, abandoned: datetime) -> None:
        """Remove the uploads that were begun, and got their last part, before `abandoned`, by the store's clock."""
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
        if self._commits.is_streamed(target, size):
            return self._commits.stream(target, body, size, crc)
        spool = Spool(self._staging, size)
        try:
            for piece in body:
                spool.write(piece, crc32c(piece))
            return self._commits.publish(target, spool)
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

    def _joined(self, target: Target, begun: Begun) -> Condition:
        """Return one condition for two; what one request to the store can judge is the narrower one.

        Raises:
            AlreadyExistsError: One of them does not hold.
            PreconditionFailedError: One of them does not hold.
        """
        if ANY in {target.condition, begun.condition}:
            return begun.condition if target.condition == ANY else target.condition
        if self._commits.made_by(target.bucket, target.key, target.call, fingerprint(*target.asked)) is None:
            for condition in (begun.condition, target.condition):
                self._judge(target.bucket, target.key, condition)
        return target.condition

    def _judge(self, bucket: str, key: str, condition: Condition) -> None:
        judge(condition, present_etag(self._commits.find(bucket, key)), bucket, key)

    def _load(self, bucket: str, upload_id: str) -> Begun | None:
        found = self._backend.get(self._at(bucket, upload_id, _HEAD)) if _ID.fullmatch(upload_id) else None
        return None if found is None else Begun.decoded(b"".join(found.body))

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
    return Part(_part_info(int(found[1]), size, int(found[2], 16), int(found[3], 16)), name)


def _part_info(number: int, size: int, generation: int, crc: int) -> PartInfo:
    return PartInfo(number=number, size=size, etag=etag_of(generation, crc), crc32c=crc, last_modified=utc(generation))
