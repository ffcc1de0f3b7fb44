"""Functions as records refer to them: the source, to be read, and the pickle, to be run; each stored once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias, TypeVar

from actorc.storage.errors import NetworkError, StorageError
from actorc.storage.rules import MAX_BATCH_OBJECT
from lucas_storage.artifacts.body import EncodedBody
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.pickles import Pickled
from lucas_storage.refs import ArtifactRef

logger = logging.getLogger(__name__)

_TEXT: Final = "text@1"
_TRUSTED_FOR: Final = 12 * 3600.0
"""Seconds for which an artifact is taken to be there still: collections of garbage leave alone what is as young."""


_Name = TypeVar("_Name")
Place: TypeAlias = tuple[str, str, str | None]
"""Address and bucket of a store, and the version of a function.

By address and not by name: within another `storage_context`, the same name may be another server."""
Body: TypeAlias = tuple[EncodedBody, Format]


class ShippedFunction(Protocol):
    """A function that can be recorded. Safe to share between threads."""

    def source(self) -> str:
        """Return its source with the names of the files and the numbers of the first lines; empty if it has none."""

    def pickled(self) -> bytes:
        """Return its pickle.

        Raises:
            Exception: It cannot be pickled, or may not be: it is too large, or may hold secrets.
        """


class RecordedFunction:
    """The fields of a function in records, found out when they are first asked for. Safe to share between threads.

    Args:
        function: The function.
    """

    def __init__(self, function: ShippedFunction) -> None:
        self._function = function
        self._known: dict[Place, tuple[float, dict[str, bytes]]] = {}

    def fields(self, storage: ArtifactStore, version: str | None) -> dict[str, bytes]:
        """Return the references ``source`` and ``shipped``, encoded, as far as the artifacts can be stored.

        Args:
            storage: Its default bucket takes them.
            version: The version of the function; another one is stored anew.
        """
        place = _place(storage, version)
        if not self.is_stored(place):
            self.note(place, _stored(storage, self._function))
        return self._known[place][1]

    def is_stored(self, place: Place) -> bool:
        """Return whether the artifacts are known to be at a place."""
        at, _ = self._known.get(place, (float("-inf"), {}))
        return time.monotonic() - at <= _TRUSTED_FOR

    def note(self, place: Place, refs: Mapping[str, ArtifactRef]) -> None:
        """Note that artifacts were stored at a place."""
        fields = {name: json.dumps(ref.to_json(), separators=(",", ":")).encode() for name, ref in refs.items()}
        self._known[place] = time.monotonic(), fields

    def bodies(self, storage: ArtifactStore) -> dict[str, Body]:
        """Return what is to be stored, by the names of the fields."""
        return _bodies(storage, self._function)

    def source(self) -> str | None:
        """Return the source of the function, None if it cannot be found."""
        return _text(self._function)


def store_together(storage: ArtifactStore, versions: Mapping[RecordedFunction, str | None]) -> None:
    """Store the functions that are not known to be stored by one call; what that refuses is left to `fields`.

    Args:
        storage: Its default bucket takes them.
        versions: Functions, each with its version.

    Raises:
        NetworkError: The store is away.
    """
    places = {each: _place(storage, version) for each, version in versions.items()}
    missing = [each for each, place in places.items() if not each.is_stored(place)]
    if len(missing) < 2:
        return
    bodies = {(each, name): body for each in missing for name, body in each.bodies(storage).items()}
    try:
        refs = _together(storage, bodies)
    except NetworkError:
        raise
    except StorageError:
        return
    for each in missing if refs else ():
        each.note(places[each], {name: ref for (function, name), ref in refs.items() if function is each})


def are_stored(storage: ArtifactStore, versions: Mapping[RecordedFunction, str | None]) -> bool:
    """Return whether all functions, each with its version, are known to be stored."""
    return all(each.is_stored(_place(storage, version)) for each, version in versions.items())


def _place(storage: ArtifactStore, version: str | None) -> Place:
    return storage.endpoint, storage.bucket, version


def _stored(storage: ArtifactStore, function: ShippedFunction) -> dict[str, ArtifactRef]:
    bodies = _bodies(storage, function)
    try:
        return _together(storage, bodies) or _one_by_one(storage, bodies)
    except NetworkError:
        raise  # as of any record: the store is away, and each further call would take its whole timeout
    except StorageError:  # the one that is refused is left out
        return _one_by_one(storage, bodies)


def _bodies(storage: ArtifactStore, function: ShippedFunction) -> dict[str, Body]:
    made = {"source": _source(function), "shipped": _pickle(function) if storage.can_sign else None}
    return {name: (EncodedBody(body[0]), format_by_id(body[1])) for name, body in made.items() if body is not None}


def _together(storage: ArtifactStore, bodies: Mapping[_Name, Body]) -> dict[_Name, ArtifactRef]:
    """Store bodies by one call; none if one of them is too large for that."""
    if not bodies or any(body.size > MAX_BATCH_OBJECT for body, _ in bodies.values()):
        return {}
    return dict(zip(bodies, storage.keep_all([*bodies.values()]), strict=True))


def _one_by_one(storage: ArtifactStore, bodies: Mapping[str, Body]) -> dict[str, ArtifactRef]:
    """Store those of the bodies that the store takes."""
    found: dict[str, ArtifactRef] = {}
    for name, (body, fmt) in bodies.items():
        try:
            found[name] = storage.keep(body, fmt)
        except NetworkError:
            raise
        except StorageError as error:  # the record is worth more than the function in it
            logger.debug("the %s of a function is not recorded because of %s", name, type(error).__name__)
    return found


def _text(function: ShippedFunction) -> str | None:
    try:
        return function.source() or None
    except Exception as error:  # noqa: BLE001  # files change, and loaders of modules are anybody's
        logger.debug("the source of a function is not recorded because of %s", type(error).__name__)
        return None


def _source(function: ShippedFunction) -> tuple[Encoded, str] | None:
    text = _text(function)
    return (format_by_id(_TEXT).encode(text), _TEXT) if text else None


def _pickle(function: ShippedFunction) -> tuple[Encoded, str] | None:
    try:
        text = function.pickled()
    except Exception as error:  # noqa: BLE001  # pickling runs code of anybody's classes
        logger.debug("a function is not recorded to be run because of %s", type(error).__name__)
        return None
    format_id, encoded = Pickled("function", text, [], []).encoded(())
    return encoded, format_id
