"""Checkpoints: saved state of a step, from which its next attempt continues."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from actorc.storage.errors import NotFoundError
from lucas_storage import current
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    InvalidRefError,
    UnknownFormatError,
    UnsafeFormatError,
)
from lucas_storage.refs import ArtifactRef
from lucas_storage.values.loading import incoming
from lucas_storage.values.storing import outgoing

from . import record_store

logger = logging.getLogger(__name__)

_UNUSABLE: Final = (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    InvalidRefError,
    UnknownFormatError,
    UnsafeFormatError,
)


class Checkpoint:
    """The saved state of the present step, under its function version and inputs, where its next attempt finds it.

    Args:
        storage: Its default bucket holds the state.

    Raises:
        RuntimeError: No step is running here.
        CacheKeyError: An input of the step has no digest, so that its attempts cannot be told from other steps.
    """

    def __init__(self, storage: ArtifactStore) -> None:
        scope = current.step_scope()
        if scope is None:
            raise RuntimeError("checkpoints belong to a step and none is running; ask for one in a decorated function")
        self._storage = storage
        self._function = scope.function
        self._record_key = record_store.record_key(record_store.CHECKPOINTS, scope.key())

    def load(self, default: Any = None) -> Any:
        """Return the value saved last, verified; `default` if there is none, or if it can no longer be read."""
        # Not trusted: the reference is verified as any other, and a pickle is loaded only if it is signed.
        record = record_store.read(self._storage, self._record_key)
        if record is None:
            return default
        try:
            return incoming.value_of(ArtifactRef.parse((record.content or {}).get("value")))
        except _UNUSABLE as error:  # a checkpoint saves time; without one the step is slower, not wrong
            why = type(error).__name__
            logger.warning("the checkpoint of %r is not used because of %s; the step begins anew", self._function, why)
            return default

    def save(self, value: Any) -> None:
        """Replace the saved value by `value`; a concurrent `load` returns the old or the new one, never a mixture.

        Args:
            value: Anything a result can be.
        """
        # The value before the record that names it: a step that is killed in between keeps its last checkpoint.
        ref = outgoing.store(value, None, self._storage.store_name)
        content = {"checkpoint": 1, "function": self._function, "at": time.time(), "run": current.run_id()}
        record_store.write(self._storage, self._record_key, {**content, "value": ref})

    def clear(self) -> None:
        """Delete the saved value; without one, do nothing."""
        try:
            self._storage.delete_object(self._storage.bucket, self._record_key)
        except NotFoundError:
            return
