"""`bundle.json`: what a bundle holds, each entry with its digest and its size.

::

    bundle.json                           this text, the first entry
    records/run.json                      the record of the run; beside it records/steps/<ulid>.json
    artifacts/<name>-<digest>.<ext>       an artifact that is one object, or the manifest of one in parts
    artifacts/<name>-<digest>/…           the parts of that one; of a directory, its files under their paths
    objects/<digest>                      a part whose path is no safe name

The names and the version are forever. Entries are stored, not compressed, and always in the same order with the same
times, so equal runs have equal bundles. A bundle may be a stranger's, so nothing in it is believed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import MiB, check_bucket, check_key
from lucas_storage.artifacts.blobs import prefix_of
from lucas_storage.errors import BundleError, InvalidRefError
from lucas_storage.limits import STORE_NAME
from lucas_storage.records import record_store
from lucas_storage.records.ulid import is_ulid

VERSION: Final = 1
NAME: Final = "bundle.json"
TEXT_MAX: Final = 64 * MiB
"""Bytes of `bundle.json`, and of a record: a quarter of a million objects. Both are read into memory."""
_RECORDS: Final = "records/"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

ObjectKind: TypeAlias = Literal["blob", "manifest", "part"]


class Place(NamedTuple):
    """Where an object lies."""

    store: str
    """Logical name."""
    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a bundle: a record, or an object of an artifact."""

    name: str
    """Of the entry in the ZIP file."""
    digest: str
    """``sha256:`` and 64 hexadecimal digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEntry(Entry):
    """An object of an artifact in a bundle."""

    kind: ObjectKind
    format: str
    """Id of the format of the artifact."""
    places: tuple[Place, ...] = ()
    """Where other artifacts say that it lies. They cannot be changed, since their digest is that of their bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The contents of a bundle."""

    run: str
    """Id of the run."""
    workflow: str
    records: tuple[Entry, ...]
    """That of the run is the last."""
    objects: tuple[ObjectEntry, ...]
    missing: tuple[str, ...] = ()
    """Digests of artifacts that records name and the bundle does not hold: the store had them no more, or they were not
    asked for."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Records and objects, in the order in which they are written."""
        return *self.records, *self.objects

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self.entries)

    def encode(self) -> bytes:
        """Return the text of `bundle.json`."""
        fields = {
            "bundle": VERSION,
            "run": self.run,
            "workflow": self.workflow,
            "records": [_entry_fields(entry) for entry in self.records],
            "objects": [
                {**_entry_fields(entry), "kind": entry.kind, "format": entry.format, "places": entry.places}
                for entry in self.objects
            ],
            "missing": self.missing,
        }
        return json.dumps(fields, indent=1, ensure_ascii=True).encode() + b"\n"

    @classmethod
    def decode(cls, text: bytes) -> Contents:
        """Return the contents that a text describes.

        Raises:
            BundleError: It is no such text, or breaks a rule.
        """
        try:
            fields = json.loads(text)
            version = fields["bundle"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise BundleError(f"{NAME} is no description of a bundle; export the run again") from error
        if version != VERSION:
            raise BundleError(f"the bundle is of version {version!r:.20}; upgrade lucas-storage to import it")
        try:
            return cls(
                run=_run(fields["run"]),
                workflow=str(fields["workflow"]),
                records=tuple(Entry(**_entry(item)) for item in _items(fields["records"])),
                objects=tuple(map(_object, _items(fields["objects"]))),
                missing=tuple(_digest(item) for item in _items(fields["missing"])),
            )
        except (ValueError, TypeError, LookupError, InvalidParameterError, InvalidRefError) as error:
            raise BundleError(f"{NAME} breaks a rule, and nothing was imported; {error}") from error


def run_key(run: str) -> str:
    """Return the key of the record of a run."""
    return f"{record_store.RUNS}{run}/run.json"


def is_record(run: str, key: str) -> bool:
    """Return whether a key is that of a record of a run: its own, or that of a step."""
    step = key.removeprefix(f"{record_store.RUNS}{run}/steps/").removesuffix(".json")
    return key == run_key(run) or (is_ulid(step) and key == f"{record_store.RUNS}{run}/steps/{step}.json")


def record_key(run: str, name: str) -> str:
    """Return the key of a record by the name of its entry.

    Raises:
        BundleError: It is not the name of a record of the run.
    """
    key = f"{record_store.RUNS}{run}/{name.removeprefix(_RECORDS)}"
    if not name.startswith(_RECORDS) or not is_record(run, key):
        raise BundleError(f"{name!r:.200} is not the name of a record of a run; the bundle was changed")
    return key


def record_name(run: str, key: str) -> str:
    """Return the name of the entry of a record by its key."""
    return f"{_RECORDS}{key.removeprefix(f'{record_store.RUNS}{run}/')}"


def _entry_fields(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "sha256": entry.digest.removeprefix("sha256:"), "size": entry.size}


def _entry(item: Any) -> dict[str, Any]:
    name, size = item["name"], item["size"]
    if type(name) is not str or type(size) is not int or not 0 <= size < 10**19:
        raise ValueError(f"an entry has no name or size, but {name!r:.80} and {size!r:.20}")
    return {"name": name, "digest": _digest(item["sha256"]), "size": size}


def _object(item: Any) -> ObjectEntry:
    fields, kind = _entry(item), item["kind"]
    if kind not in ("blob", "manifest", "part"):
        raise ValueError(f"an object is a blob, a manifest or a part, not {kind!r:.20}")
    places = tuple(_place(place, fields["digest"]) for place in _items(item["places"]))
    return ObjectEntry(**fields, kind=cast("ObjectKind", kind), format=str(item["format"]), places=places)


def _place(found: Any, digest: str) -> Place:
    store, bucket, key = found
    if type(store) is not str or not STORE_NAME.fullmatch(store):
        raise ValueError(f"{store!r:.80} is not the name of a store")
    check_bucket(bucket)
    check_key(key, bucket)
    # Only places of blobs: a bundle must not choose which other object is replaced.
    prefix_of(key, digest)
    return Place(store, bucket, key)


def _items(found: Any) -> list[Any]:
    if type(found) is not list:
        raise ValueError(f"a list is expected in the place of {found!r:.80}")
    return found


def _run(found: Any) -> str:
    if type(found) is not str or not is_ulid(found):
        raise ValueError(f"{found!r:.80} is not the id of a run")
    return found


def _digest(found: Any) -> str:
    text = found.removeprefix("sha256:") if type(found) is str else ""
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"{found!r:.80} is no digest")
    return f"sha256:{text}"
