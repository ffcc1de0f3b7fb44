"""The manifest of a snapshot: what it holds, how much, and the digests from which all of it is verified.

The digest of the index covers everything else: the index has name, size and checksums of each blob.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.files.private_files import replace_private
from actorc.storage.rules import MiB

NAME: Final = "manifest.json"
FORMAT: Final = 1
_LARGEST: Final = MiB
"""Bytes; a larger file is no manifest."""

_TOTALS: Final = """
SELECT (SELECT count(*) FROM bucket), (SELECT count(*) FROM object), (SELECT coalesce(sum(size), 0) FROM object),
       (SELECT count(*) FROM upload), count(*), coalesce(sum(size), 0) FROM content WHERE file IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much a snapshot holds."""

    buckets: int
    objects: int
    object_bytes: int
    """Bytes of all objects; those of a copy count again."""
    uploads: int
    """Multipart uploads under way."""
    blobs: int
    blob_bytes: int
    """Bytes of the payload of the blobs."""

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Totals:
        """Return the totals of an index."""
        return cls(*connection.execute(_TOTALS).fetchone())


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Size and digest of one file of a snapshot, which is no blob."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileDigest:
        """Return those of a file as it is now."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(MiB):
                digest.update(piece)
                size += len(piece)
        return cls(size, digest.hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of one snapshot."""

    snapshot: str
    """Its name."""
    store: str
    """Identity of the data directory."""
    taken_at: str
    """Moment of the snapshot, ISO 8601, UTC."""
    ended_at: str
    """Moment when all of it had been copied, ISO 8601, UTC."""
    made_by: str
    """Version of lucas-storage."""
    schema: int
    """Version of the schema of its index."""
    totals: Totals
    files: Mapping[str, FileDigest]
    """Its files by name, the manifest and the blobs aside."""

    def write(self, folder: Path) -> None:
        """Write it durably into the folder of its snapshot."""
        replace_private(folder / NAME, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", durable=True)


def read(folder: Path) -> Manifest:
    """Return the manifest in the folder of a snapshot.

    Raises:
        IntegrityError: It is missing or damaged.
        StorageError: A later version has made it.
    """
    path = folder / NAME
    try:
        record = json.loads(_content(path))
        found = record.pop("format")
        if isinstance(found, int) and found > FORMAT:
            raise StorageError(
                f"{path} has format {found} and this version of lucas-storage knows {FORMAT} at most; update it"
            )
        return _unpacked(record)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; take another snapshot") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise IntegrityError(f"{path} is damaged; take another snapshot") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("it is too large")
    return content


def _unpacked(record: dict[str, Any]) -> Manifest:
    totals, files = record.pop("totals"), record.pop("files")
    named = {str(name): FileDigest(int(each["size"]), str(each["sha256"])) for name, each in files.items()}
    # fields that a later version adds are ignored
    known = {name: record[name] for name in ("snapshot", "store", "taken_at", "ended_at", "made_by", "schema")}
    return Manifest(
        **known,
        totals=Totals(**{name: int(totals[name]) for name in Totals.__slots__}),
        files=named,
    )
