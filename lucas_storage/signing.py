"""Signatures of references whose formats can run code.

A signature says that a holder of the key encoded these very bytes itself. It covers store, bucket, key, digest, size,
format and kind; file name and run are descriptive and stay free. Keys are a setting of their own, never an access key.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from .errors import UnsafeFormatError

if TYPE_CHECKING:
    # Settings name the keys, and most commands need no reference.
    from .refs import ArtifactRef

_VERSION: Final = b"lucas-ref-1"
_HOW: Final = (
    "set LUCAS_STORAGE_SIGNING_KEY or LUCAS_STORAGE_SIGNING_KEY_FILE to the same secret on every process, for instance "
    'from python -c "import secrets; print(secrets.token_urlsafe(32))"'
)


@dataclass(frozen=True, slots=True, repr=False)
class SigningKeys:
    """The signing keys of this process, and whether pickles are denied here; never shown, never pickled."""

    keys: tuple[bytes, ...] = ()
    """The first signs, all verify, so that a key can be replaced while workflows run."""
    denied: bool = False
    """True refuses to sign and to verify, whatever the keys."""

    def __repr__(self) -> str:
        return f"SigningKeys({len(self.keys)} keys{', denied' if self.denied else ''})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("signing keys are never shipped; set LUCAS_STORAGE_SIGNING_KEY where they are needed")


class Verified:
    """Proof that a reference was signed with a key of this process; only `verify` makes one."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ArtifactRef, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("a Verified is made by lucas_storage.signing.verify alone")
        self._ref = ref

    @property
    def ref(self) -> ArtifactRef:
        """The reference that was verified."""
        return self._ref

    def __repr__(self) -> str:
        return f"Verified({self._ref!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a proof holds in the process that made it; verify the reference again")


_SEAL: Final = object()
"""Known to `verify` only: no other module can make a proof by accident."""


def check_writable(keys: SigningKeys, type_name: str) -> None:
    """Check that a value of type `type_name` may be written as a pickle, before any work is done.

    Raises:
        UnsafeFormatError: Pickles are denied here, or there is no key to sign with.
    """
    what = f"a value of type {type_name} can only be stored as a pickle"
    if keys.denied:
        raise UnsafeFormatError(f"{what}, and LUCAS_STORAGE_PICKLE=deny forbids it; convert it, or register a format")
    if not keys.keys:
        raise UnsafeFormatError(f"{what}, and a pickle must be signed; convert it, register a format, or {_HOW}")


def sign(ref: ArtifactRef, keys: SigningKeys) -> ArtifactRef:
    """Return `ref` signed with the first key. Sign only what this process encoded itself.

    Raises:
        UnsafeFormatError: Pickles are denied here, there is no key, or `ref` pins no digest.
    """
    _check_usable(ref, keys)
    return ref.signed(_mac(ref, keys.keys[0]))


def verify(ref: ArtifactRef, keys: SigningKeys) -> Verified:
    """Return the proof that unsafe formats demand before they decode.

    Raises:
        UnsafeFormatError: `ref` is unsigned, signed with another key, or was changed since; or pickles are denied
            here, there is no key, or `ref` pins no digest.
    """
    _check_usable(ref, keys)
    if ref.signature is None:
        raise UnsafeFormatError(
            f"a {ref.format} artifact is read only from a signed reference, and this one is not signed; "
            "pass on the reference that its writer returned",
            ref=ref,
        )
    # Compared in constant time, and with every key: the time taken must not tell how much of a guess is right.
    matches = [hmac.compare_digest(_mac(ref, key), ref.signature) for key in keys.keys]
    if not any(matches):
        raise UnsafeFormatError(
            f"the signature of a {ref.format} artifact was not made with a key of this process, or the reference was "
            "changed; give writer and reader the same LUCAS_STORAGE_SIGNING_KEY",
            ref=ref,
        )
    return Verified(ref, _SEAL)


def demand(proof: object, format_id: str, size: int | None = None) -> None:
    """Check that `proof` was made by `verify` for an artifact of this format and, once it is known, size.

    Raises:
        UnsafeFormatError: It was not.
    """
    # By type: a caller that passes True, or the reference itself, must not get a pickle loaded.
    ref = proof.ref if isinstance(proof, Verified) else None
    if ref is None or ref.format != format_id or size not in (None, ref.size):
        raise UnsafeFormatError(f"a {format_id} artifact is decoded only with proof of its signature; call verify()")


def _check_usable(ref: ArtifactRef, keys: SigningKeys) -> None:
    if keys.denied:
        raise UnsafeFormatError(
            f"a {ref.format} artifact is refused by LUCAS_STORAGE_PICKLE=deny; use another format", ref=ref
        )
    if not keys.keys:
        raise UnsafeFormatError(f"a {ref.format} artifact needs a signing key, and there is none here; {_HOW}", ref=ref)
    # Without a digest the signature would cover no bytes.
    if ref.digest is None:
        raise UnsafeFormatError(f"a {ref.format} artifact without a digest cannot be trusted; store it again", ref=ref)


def _mac(ref: ArtifactRef, key: bytes) -> str:
    fields = (ref.store, ref.bucket, ref.key, ref.digest or "", str(ref.size), ref.format, ref.kind)
    # The version is part of the text, so that signatures of another scheme can never be valid for this one.
    texts = [_VERSION, *(text.encode() for text in fields)]
    # Each with its length before it: without that, bytes could move from one field to the next under one signature.
    covered = b"".join(len(text).to_bytes(4, "big") + text for text in texts)
    return hmac.new(key, covered, hashlib.sha256).hexdigest()
