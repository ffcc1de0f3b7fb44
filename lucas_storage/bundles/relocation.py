"""References of a run that is imported: to the bucket that its artifacts lie in from now on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lucas_storage import signing
from lucas_storage.artifacts.blobs import key_of
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.containers import apart
from lucas_storage.errors import BundleError, UnknownFormatError, UnsafeFormatError
from lucas_storage.formats import format_by_id
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import SigningKeys


@dataclass(slots=True)
class Relocation:
    """Moves references into the default bucket of a store. For one thread.

    A signature covers the place. Of a reference that stays where it is, it stays. Of one that moves, a process that
    holds the key with which it was signed signs it again; for every other one it is lost, and the pickle unread.

    Args:
        storage: Its default bucket takes the artifacts.
        keys: The keys of this process.
    """

    storage: ArtifactStore
    keys: SigningKeys
    unsigned: int = 0
    """References to formats that can run code, without a signature that holds here."""

    def content(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return the content of a record with its references moved.

        Raises:
            BundleError: It is nested too deeply.
        """
        try:
            moved: dict[str, Any] = self._moved(content)
        except RecursionError as error:
            raise BundleError("a record is nested too deeply; nothing was imported") from error
        return moved

    def _moved(self, value: Any) -> Any:
        if type(value) is ArtifactRef:
            return self._ref(value)
        parts = apart(value)
        return value if parts is None else parts.make([self._moved(child) for child in parts.children])

    def _ref(self, ref: ArtifactRef) -> ArtifactRef:
        if ref.inline is not None or ref.digest is None:
            return ref
        key = key_of(self.storage.prefix, ref.digest)
        moved = replace(ref, store=self.storage.store_name, bucket=self.storage.bucket, key=key)
        if _is_safe(ref.format):
            return moved
        is_ours = self._is_verified(ref)
        self.unsigned += not is_ours
        if moved == ref:
            return ref  # with its signature, which another process may be able to verify
        return signing.sign(moved, self.keys) if is_ours else moved.signed(None)

    def _is_verified(self, ref: ArtifactRef) -> bool:
        try:
            signing.verify(ref, self.keys)
        except UnsafeFormatError:
            return False
        return True


def _is_safe(format_id: str) -> bool:
    try:
        return format_by_id(format_id).safe
    except UnknownFormatError:
        return False
