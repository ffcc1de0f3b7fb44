"""Artifacts by name, so that one run can use what another has made.

::

    names/<name>/<ulid>.json               what was published, in the order of time; never changed
    names/<name>/versions/<version>.json   the same once more, for those who gave it a version; never changed
    names/<name>/aliases/<alias>.json      which of them an alias stands for; the only thing that moves

No counter is kept, so two who publish at the same time do not meet: the latest is the greatest key.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
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
"""How often others may move an alias between our reading and our writing it."""


def publish(
    storage: ArtifactStore,
    ref: ArtifactRef,
    name: str,
    *,
    version: str | None = None,
    alias: str | None = None,
    tags: Mapping[str, Any] | None = None,
) -> ArtifactRef:
    """Publish an artifact under a name and return its reference; `Storage.publish` says what that means."""
    for what, text in (("name", name), ("version", version), ("alias", alias)):
        _check(what, text)
    _check_ref(storage, ref)
    content = {
        "published": 1,
        "id": ulid(),
        "ref": ref,
        "version": version,
        "tags": dict(tags or {}),
        "at": time.time(),
        "run": current.run_id(),
    }
    if version is not None:
        content = _claim_version(storage, name, version, content)
    with contextlib.suppress(AlreadyExistsError):  # this version, published once more
        record_store.write(storage, _place(name, str(content["id"])), content, if_absent=True)
    if alias is not None:
        _move_alias(storage, name, alias, content)
    return ref


def lookup(storage: ArtifactStore, text: str) -> ArtifactRef:
    """Return the reference published as ``name``, ``name@alias`` or ``name@version``, in this order of meaning.

    Raises:
        ArtifactNotFoundError: Nothing is published so.
        InvalidParameterError: `text` is no such thing.
    """
    name, at, which = text.partition("@")
    _check("name", name)
    if at:
        _check("alias or version", which)
        record = _read(storage, name, f"aliases/{which}") or _read(storage, name, f"versions/{which}")
    else:
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
    """Return the record of this version: `content`, or what is there already, if it is of the same artifact."""
    try:
        record_store.write(storage, _place(name, f"versions/{version}"), content, if_absent=True)
    except AlreadyExistsError as error:
        present = _read(storage, name, f"versions/{version}") or {}
        known = str(present.get("id"))
        taken, ours = present.get("ref"), content["ref"]
        if type(taken) is not ArtifactRef or (taken.digest, taken.format) != (ours.digest, ours.format):
            raise VersionTakenError(
                f"version {version!r} of {name!r} is published already, as other content; choose another version",
                ref=ours,
            ) from error
        return {**content, "id": known if is_ulid(known) else content["id"]}
    return content


def _move_alias(storage: ArtifactStore, name: str, alias: str, content: dict[str, Any]) -> None:
    """Let an alias stand for what `content` publishes, knowing for certain what it stood for before."""
    place = _place(name, f"aliases/{alias}")
    for _ in range(_ATTEMPTS):
        present = record_store.read(storage, place)
        before = (present.content or {}).get("id") if present else None
        moved = {**content, "alias": alias, "moved": time.time(), "before": before}
        condition: dict[str, Any] = {"if_absent": True} if present is None else {"if_match": present.etag}
        try:
            record_store.write(storage, place, moved, **condition)
        except (AlreadyExistsError, ObjectNotFoundError, PreconditionFailedError):
            continue
        return
    raise PreconditionFailedError(
        f"the alias {alias!r} of {name!r} is being moved by others all the time; publish again", storage.bucket, place
    )


def _latest(storage: ArtifactStore, name: str) -> str | None:
    prefix = f"{record_store.NAMES}{name}/"
    token, found = None, None
    while True:
        try:
            page = storage.list_objects(storage.bucket, prefix, delimiter="/", page_token=token)
        except NotFoundError:
            return None
        keys = (one["key"].removeprefix(prefix).removesuffix(".json") for one in page["objects"])
        found = max(filter(is_ulid, keys), default=found)
        token = page["next_page_token"]
        if not token:
            return found


def _read(storage: ArtifactStore, name: str, which: str) -> dict[str, Any] | None:
    record = record_store.read(storage, _place(name, which))
    return record.content if record else None


def _place(name: str, which: str) -> str:
    return f"{record_store.NAMES}{name}/{which}.json"


def _check(what: str, text: str | None) -> None:
    if text is not None and not (isinstance(text, str) and _NAME.fullmatch(text)):
        raise InvalidParameterError(f"the {what} {text!r:.80} cannot be published; it is {_RULE}")


def _check_ref(storage: ArtifactStore, ref: ArtifactRef) -> None:
    """Make sure that what is published stays what it is, where it is."""
    if ref.digest is None:
        raise InvalidParameterError("a reference that pins no digest cannot be published; store the value again")
    if ref.inline is None and (ref.store, ref.bucket) != (storage.store_name, storage.bucket):
        raise InvalidParameterError(
            f"an artifact is published in its own bucket, and this one is in {ref.bucket!r} of store {ref.store!r}; "
            f"use Storage({ref.store!r}), or put its value here"
        )
    storage.stat(ref)
