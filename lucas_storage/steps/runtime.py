"""The runtime that rt-style functions get: the engine's own, with values for references and lasting storage."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any, Final, TypeAlias

from actorc.storage.errors import NotFoundError, PreconditionFailedError
from lucas_storage import settings, signing
from lucas_storage.artifacts.body import EncodedBody
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.engine import adapter
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource
from lucas_storage.refs import ArtifactRef, digest_of
from lucas_storage.values.loading import incoming
from lucas_storage.values.storing import outgoing
from lucas_storage.values.storing.policy import Policies

_Names: TypeAlias = list[str]

_FORMAT: Final = "lucas-format"
_SIGNATURE: Final = "lucas-signature"
"""Names of object metadata; kept for ever."""
_SHARED: Final = "shared"
"""Scope of the names of functions that run outside `lucas_storage.run`."""
_FIRST_PAUSE: Final = 0.005
"""Seconds between two looks for a name; doubled up to the longest, since a step may wait for hours."""
_LONGEST_PAUSE: Final = 0.5


class StorageRuntime:
    """A proxy of the engine's runtime, which is unchanged and has all attributes that are not defined here.

    Args:
        genuine: The engine's runtime.
        function: Named in errors.
        policy: Where to store large parameters of nested calls.
    """

    def __init__(self, genuine: Any, function: str, policy: Policies) -> None:
        self._genuine = genuine
        self._function = function
        self._policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._genuine, name)

    def input(self) -> Any:
        """Return the input, every reference in it replaced by its value; the same objects each time."""
        return self._input

    def output(self, value: Any) -> Any:
        """Return `value`; large values in it are stored when the function returns."""
        return value

    def call(self, function: str, parameters: Any) -> Any:
        """Call another function and return its result; parameters and result are values here, references on the way."""
        return incoming.value_of(self._genuine.call(function, outgoing.offload_each(parameters, self._policy)))

    def tell(self, function: str, parameters: Any) -> Any:
        """Start another function and return the engine's answer at once; parameters are values here, as in `call`."""
        return self._genuine.tell(function, outgoing.offload_each(parameters, self._policy))

    @cached_property
    def storage(self) -> RuntimeStorage:
        """Values kept by name in this service, for all functions of the workflow."""
        return RuntimeStorage(store_for(self._policy().store), adapter.running_workflow() or _SHARED)

    @cached_property
    def _input(self) -> Any:
        given = self._genuine.input()
        if type(given) is dict:
            return incoming.resolve(given, {}, self._function, self._policy)
        return incoming.value_of(given)


class RuntimeStorage:
    """Values kept by name, as Lucas's ``rt.storage`` keeps them, in the default bucket under ``rt/<scope>/``.

    Any value that can be an artifact. A pickle carries its signature in the object's metadata, and is refused without.

    Args:
        storage: Its default bucket holds them.
        scope: Name of the workflow, whose functions share the names.
    """

    def __init__(self, storage: ArtifactStore, scope: str) -> None:
        self._storage = storage
        self._prefix = f"rt/{scope}/"

    def put(self, filename: str, data: Any) -> None:
        """Store a value in place of the present one of the name."""
        fmt = format_for(data)
        if not fmt.safe:
            signing.check_writable(settings.resolve().signing_keys, type(data).__name__)
        body = EncodedBody(fmt.encode(data))
        metadata = {_FORMAT: fmt.id}
        if not fmt.safe:
            # The signature covers the key, so that a signed pickle cannot be copied under another name.
            signed = signing.sign(self._ref(filename, body.digest, body.size, fmt.id), settings.resolve().signing_keys)
            metadata[_SIGNATURE] = signed.signature or ""
        self._storage.send(self._prefix + filename, body, fmt.content_type, metadata=metadata)

    def get(self, filename: str, timeout: float = -1) -> Any:
        """Return the value of a name, waiting until there is one.

        Args:
            filename: The name.
            timeout: Milliseconds to wait; negative waits for ever, 0 looks once.

        Returns:
            The value, or None when the time is over. An object of another program is its text, or its bytes.

        Raises:
            UnsafeFormatError: It is a pickle, and its signature is missing or wrong.
        """
        end = None if timeout < 0 else time.monotonic() + timeout / 1000
        pause = _FIRST_PAUSE
        # Asked in growing intervals, since a store does not announce new objects.
        while not self.exists(filename):
            left = pause if end is None else end - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return self._read(filename)

    def list(self) -> _Names:
        """Return all names, sorted."""
        try:
            found = self._storage.iter_objects(self._storage.bucket, self._prefix, details=False)
            return [head["key"].removeprefix(self._prefix) for head in found]
        except NotFoundError:
            return []

    def exists(self, filename: str) -> bool:
        """Return whether a name holds a value."""
        return self._storage.object_exists(self._storage.bucket, self._prefix + filename)

    def delete(self, filename: str) -> None:
        """Remove a name; one that holds nothing is no error."""
        try:
            self._storage.delete_object(self._storage.bucket, self._prefix + filename)
        except NotFoundError:
            return

    def _read(self, filename: str) -> Any:
        while True:
            head = self._storage.head_object(self._storage.bucket, self._prefix + filename)
            try:
                data = self._storage.get_object(head["bucket"], head["key"], if_match=head["etag"])
            except PreconditionFailedError:  # replaced between the two calls: format and bytes must be of one value
                continue
            return self._decoded(filename, data, head["metadata"])

    def _decoded(self, filename: str, data: bytes, metadata: dict[str, str]) -> Any:
        # Another program's object: the bytes alone never decide that they are a pickle.
        if _FORMAT not in metadata:
            return _text_or_bytes(data)
        fmt = format_by_id(metadata[_FORMAT])
        if fmt.safe:
            return fmt.decode(MemorySource(data), None)
        # The digest of the bytes at hand, not of a record of them: the signature is for exactly what is unpickled.
        digest = digest_of((data,))
        ref = self._ref(filename, digest, len(data), fmt.id).signed(metadata.get(_SIGNATURE))
        return fmt.decode(MemorySource(data), None, proof=signing.verify(ref, settings.resolve().signing_keys))

    def _ref(self, filename: str, digest: str, size: int, format_id: str) -> ArtifactRef:
        return ArtifactRef(
            store=self._storage.store_name,
            bucket=self._storage.bucket,
            key=self._prefix + filename,
            digest=digest,
            size=size,
            format=format_id,
        )


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
