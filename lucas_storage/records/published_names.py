"""Published names of artifacts, by which one run uses the results of another.

::

    names/<name>/<ulid>.json               a publication, in the order of time
    names/<name>/versions/<version>.json   the same once more, if it was given a version
    names/<name>/aliases/<alias>.json      the publication that an alias names; the only record whose content changes

A collection may let go of a publication while it is published again, or while an alias is moved to it. So records that
are there already are written once more, as they are: a collection that has looked at them removes them no longer, and
the next one finds them young.

No counter is kept, so processes that publish at the same time never conflict: the latest is the greatest key.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from actorc.storage.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from lucas_storage import current
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import ArtifactNotFoundError, VersionTakenError
from lucas_storage.refs import ArtifactRef

from . import record_store
from .ulid import is_ulid, ulid

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RULE: Final = "1-128 letters, digits, dots, hyphens and underscores, the first a letter or digit"
_ATTEMPTS: Final = 100
"""Attempts to move an alias that other processes move between the reading and the writing of it."""


def publish(
    storage: ArtifactStore,
    ref: ArtifactRef,
    name: str,
    *,
    version: str | None = None,
    alias: str | None = None,
    tags: Mapping[str, Any] | None = None,
    renew: Callable[[ArtifactRef], None],
) -> ArtifactRef:
    """Publish an artifact under a name and return its reference; `Storage.publish` states the guarantee.

    `renew` raises `ArtifactNotFoundError` for an artifact that is gone, and keeps collections from one that is there.
    """
    for what, text in (("name", name), ("version", version), ("alias", alias)):
        _check(what, text)
    # Before anything is written, so that no version is taken by a publication that fails.
    _check_ref(storage, ref)
    renew(ref)
    content = {
        "published": 1,
        "id": ulid(),
        "ref": ref,
        "version": version,
        "tags": dict(tags or {}),
        "at": time.time(),
        "run": current.run_id(),
    }
    # The version first, since it can be refused; the alias last, since it must name a publication that is there.
    if version is not None:
        content = _claim_version(storage, name, version, content)
    _write_or_renew(storage, _record_key(name, str(content["id"])), content)
    if alias is not None:
        _move_alias(storage, name, alias, content)
    return ref


def lookup(storage: ArtifactStore, text: str) -> ArtifactRef:
    """Return the reference published as ``name``, ``name@alias`` or ``name@version``, in this order of meaning.

    Raises:
        ArtifactNotFoundError: Nothing is published so.
        InvalidParameterError: `text` has none of these forms.
    """
    name, at, which = text.partition("@")
    if not all(map(_NAME.fullmatch, (name, which) if at else (name,))):
        raise InvalidParameterError(
            f"{text!r:.80} is no NAME, NAME@ALIAS or NAME@VERSION of something published; each of these is {_RULE}"
        )
    if at:
        record = _read(storage, name, f"aliases/{which}") or _read(storage, name, f"versions/{which}")
    else:
        # By listing, since no record says which is the latest: a counter would be a place where publishers conflict.
        latest = _latest(storage, name)
        record = _read(storage, name, latest) if latest else None
    ref = (record or {}).get("ref")
    if type(ref) is not ArtifactRef:
        raise ArtifactNotFoundError(
            f"nothing is published as {text!r} in store {storage.store_name!r} (bucket {storage.bucket}); "
            f"'lucas-storage ls {storage.bucket}/{record_store.NAMES}' shows the names there are"
        )
    return ref


def _claim_version(storage: ArtifactStore, name: str, version: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the record of this version: `content`, or the present record, if it is of the same artifact."""
    ours = content["ref"]

    def check(present: dict[str, Any]) -> None:
        taken = present.get("ref")
        if type(taken) is not ArtifactRef or (taken.digest, taken.format) != (ours.digest, ours.format):
            raise VersionTakenError(
                f"version {version!r} of {name!r} is published already, as other content; choose another version",
                ref=ours,
            )

    kept = _write_or_renew(storage, _record_key(name, f"versions/{version}"), content, check)
    # The id of the first publication, so that publishing the same version again adds no further record.
    known = str(kept.get("id"))
    return {**content, "id": known if is_ulid(known) else content["id"]}


def _write_or_renew(
    storage: ArtifactStore, key: str, content: dict[str, Any], check: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """Write a record, or once more the one that is there and that `check` does not refuse; return its content."""
    for _ in range(_ATTEMPTS):
        try:
            record_store.write(storage, key, content, if_absent=True)
        except AlreadyExistsError:
            present = record_store.read(storage, key)
        else:
            return content
        if present is None:
            continue  # a collection removed it between the two calls
        check(present.content or {})
        if present.content is None:
            return content  # what cannot be read stops every collection
        with contextlib.suppress(ObjectNotFoundError, PreconditionFailedError):
            record_store.write(storage, key, present.content, if_match=present.etag)
            return present.content
    raise PreconditionFailedError("others publish this all the time; publish again", storage.bucket, key)


def _move_alias(storage: ArtifactStore, name: str, alias: str, content: dict[str, Any]) -> None:
    """Point an alias to the publication `content`, recording its previous one without a race."""
    record_key = _record_key(name, f"aliases/{alias}")
    for _ in range(_ATTEMPTS):
        present = record_store.read(storage, record_key)
        before = (present.content or {}).get("id") if present else None
        moved = {**content, "alias": alias, "moved": time.time(), "before": before}
        condition: dict[str, Any] = {"if_absent": True} if present is None else {"if_match": present.etag}
        try:
            record_store.write(storage, record_key, moved, **condition)
        except (AlreadyExistsError, ObjectNotFoundError, PreconditionFailedError):
            continue  # another process moved it: `before` must name that one's publication
        return
    raise PreconditionFailedError(
        f"the alias {alias!r} of {name!r} is being moved by others all the time; publish again",
        storage.bucket,
        record_key,
    )


def _latest(storage: ArtifactStore, name: str) -> str | None:
    prefix = f"{record_store.NAMES}{name}/"
    token, found = None, None
    while True:
        try:
            page = storage.list_objects(storage.bucket, prefix, delimiter="/", page_token=token, details=False)
        except NotFoundError:
            return None
        keys = (head["key"].removeprefix(prefix).removesuffix(".json") for head in page["objects"])
        found = max(filter(is_ulid, keys), default=found)
        token = page["next_page_token"]
        if not token:
            return found


def _read(storage: ArtifactStore, name: str, which: str) -> dict[str, Any] | None:
    record = record_store.read(storage, _record_key(name, which))
    return record.content if record else None


def _record_key(name: str, which: str) -> str:
    return f"{record_store.NAMES}{name}/{which}.json"


def _check(what: str, text: str | None) -> None:
    if text is not None and not (isinstance(text, str) and _NAME.fullmatch(text)):
        raise InvalidParameterError(f"the {what} {text!r:.80} cannot be published; it is {_RULE}")


def _check_ref(storage: ArtifactStore, ref: ArtifactRef) -> None:
    """Check that a reference pins its content, and names an artifact in the bucket of its publication."""
    # `gc` looks at the records of one bucket only: a name in another bucket would not keep the artifact from removal.
    if ref.digest is None:
        raise InvalidParameterError("a reference that pins no digest cannot be published; store the value again")
    if ref.inline is None and (ref.store, ref.bucket) != (storage.store_name, storage.bucket):
        raise InvalidParameterError(
            f"an artifact is published in its own bucket, and this one is in {ref.bucket!r} of store {ref.store!r}; "
            f"use Storage({ref.store!r}), or put its value here"
        )
