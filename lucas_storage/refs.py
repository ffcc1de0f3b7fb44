"""References to artifacts: immutable data, written as one URI.

::

    lucas://store/bucket/key?d=sha256:<hex>&n=<bytes>&f=npy%401[&k=m][&fn=<name>][&r=<run>][&h=<signature>]
    lucas:inline?f=json@1&v=<base64url>[&fn=<name>][&r=<run>][&h=<signature>]

On the wire a reference is ``{"$artifact": uri}``. The scheme, the query names and the tag are forever. Readers ignore
query names they do not know, except those that begin with ``!``. `store` is a logical name that settings map to an
endpoint; nothing in a reference is ever dialled.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeGuard
from urllib.parse import quote

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import check_bucket, check_key
from actorc.storage.units import shown_size

from .errors import InvalidRefError
from .limits import STORE_NAME
from .references import fields
from .references.fields import Kind, is_filename
from .references.handles import ArtifactStat, handle_for, html_of
from .references.parsing import INLINE, SCHEME, STORED, fields_of

TAG: Final = "$artifact"
_OFTEN: Final = 8 << 10
"""Characters of a reference up to which it is remembered once it was parsed; of an inline one up to 4 KiB of data."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArtifactRef:
    """An immutable reference to a stored value, or to a small one it carries itself.

    Equal and hashed by everything but the signature and the run. Always true, whatever it refers to.

    Raises:
        InvalidRefError: A field breaks its rule.
    """

    store: str = "default"
    """Logical name, never an address."""
    bucket: str
    """Empty for kind ``inline``."""
    key: str
    """Empty for kind ``inline``."""
    digest: str | None = None
    """``sha256:`` and 64 lower-case hexadecimal digits over the stored bytes; None pins nothing."""
    size: int
    """Bytes stored."""
    format: str
    """Versioned id such as ``npy@1`` or ``acme/graph@2``."""
    kind: Kind = "blob"
    filename: str | None = None
    """Name that a local copy has; one path segment."""
    run: str | None = field(default=None, compare=False)
    """The run that made it."""
    signature: str | None = field(default=None, compare=False)
    """HMAC-SHA256 in hexadecimal; what it covers is in `lucas_storage.signing`."""
    inline: bytes | None = None
    """The stored bytes themselves, for kind ``inline`` and no other."""

    def __post_init__(self) -> None:
        fields.check(STORE_NAME, self.store, "the store", "1-63 lower-case letters, digits and hyphens")
        fields.check(fields.FORMAT, self.format, "the format", "a versioned id such as npy@1")
        fields.check_optional(fields.DIGEST, self.digest, "the digest", "sha256: and 64 lower-case hexadecimal digits")
        fields.check_optional(
            fields.RUN, self.run, "the run", "up to 64 letters, digits, dots, hyphens and underscores"
        )
        fields.check_optional(fields.SIGNATURE, self.signature, "the signature", "64 lower-case hexadecimal digits")
        if type(self.size) is not int or not 0 <= self.size < 10**19:
            raise InvalidRefError(f"the size of a reference is not valid; it is an int of 0 or more, not {self.size!r}")
        if self.filename is not None and not is_filename(self.filename):
            raise InvalidRefError(f"the file name of a reference is no path segment; {self.filename!r} is not one")
        if self.kind == "inline":
            self._check_inline()
        elif self.kind in ("blob", "manifest"):
            self._check_stored()
        else:
            raise InvalidRefError(f"the kind of a reference is blob, manifest or inline; {self.kind!r} is none")

    def _check_stored(self) -> None:
        if self.inline is not None:
            raise InvalidRefError(f"a reference of kind {self.kind} carries no bytes; use kind inline")
        try:
            check_bucket(self.bucket)
            check_key(self.key, self.bucket)
        except InvalidParameterError as error:
            raise InvalidRefError(f"the place a reference names is not valid; {error.message}") from error

    def _check_inline(self) -> None:
        if type(self.inline) is not bytes:
            raise InvalidRefError("a reference of kind inline carries its bytes; use inline_ref() to make one")
        if (self.store, self.bucket, self.key) != ("default", "", ""):
            raise InvalidRefError("a reference of kind inline names no store, bucket or key")
        # Checked like stored bytes, so that digest and bytes of no reference disagree.
        if (self.size, self.digest) != (len(self.inline), digest_of((self.inline,))):
            raise InvalidRefError("size and digest of an inline reference are those of the bytes it carries")

    @property
    def uri(self) -> str:
        """The reference as text; `parse` gives an equal one back, with the same signature."""
        if self.inline is not None:
            head = inline_json(self.format, self.inline)[TAG]
        else:
            digest = f"d={self.digest}&" if self.digest else ""
            name = f"{self.store}/{self.bucket}/{quote(self.key, safe='/')}"
            # In a fixed order, so that equal references have equal texts.
            head = f"{STORED}{name}?{digest}n={self.size}&f={quote(self.format, safe='')}"
        kind = "m" if self.kind == "manifest" else None
        extra = (("k", kind), ("fn", self.filename), ("r", self.run), ("h", self.signature))
        for name, value in extra:
            if value is not None:
                head += f"&{name}={quote(value, safe='')}"
        return head

    def to_json(self) -> dict[str, str]:
        """Return the reference as it travels through an engine: a dict of exactly one key."""
        uri = self.uri
        # The next step of this process is given the text, and reads it.
        _remember(uri, self)
        return {TAG: uri}

    @classmethod
    def parse(cls, obj: object) -> ArtifactRef:
        """Return the reference that `obj` is or spells.

        Args:
            obj: An `ArtifactRef`, a URI, or a tagged dict as `to_json` makes it.

        Raises:
            InvalidRefError: It is none of these, breaks a rule, or demands a feature this version does not have.
        """
        if isinstance(obj, ArtifactRef):
            return obj
        if is_tagged(obj):
            return _parse_uri(obj[TAG])
        if isinstance(obj, str):
            return _parse_uri(obj)
        raise InvalidRefError(
            f"a value of type {type(obj).__name__} is not a reference; pass an ArtifactRef, its URI or its tagged dict"
        )

    def signed(self, signature: str | None) -> ArtifactRef:
        """Return this reference with another signature, or without one."""
        return replace(self, signature=signature)

    def load(self, as_: Any = None) -> Any:
        """Return the value, verified; `as_` is an annotation such as ``np.ndarray``, None takes the format's own."""
        return handle_for(self.store).get(self, as_)

    def open(self) -> BinaryIO:
        """Return the stored bytes as a seekable binary file."""
        return handle_for(self.store).open(self)

    def path(self, only: str | None = None) -> Path:
        """Return a verified, read-only local file or directory, under the name it had, or one file of a directory."""
        return handle_for(self.store).path(self, only)

    def stat(self) -> ArtifactStat:
        """Return the facts about the stored bytes that are known without reading them."""
        return handle_for(self.store).stat(self)

    def __repr__(self) -> str:
        shown = "inline" if self.kind == "inline" else _short(self.digest)
        return f"ArtifactRef({self.format} {shown_size(self.size)} {shown})"

    def _repr_html_(self) -> str:
        return html_of(self)


def digest_of(pieces: Iterable[bytes | memoryview]) -> str:
    """Return ``sha256:`` and the hexadecimal digest of all pieces in order, each used before the next is asked for."""
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    return f"sha256:{running.hexdigest()}"


def inline_ref(
    format: str,  # noqa: A002
    payload: bytes,
    *,
    filename: str | None = None,
    run: str | None = None,
    signature: str | None = None,
) -> ArtifactRef:
    """Return a reference that carries `payload`, bytes encoded in `format`, itself."""
    return ArtifactRef(
        bucket="",
        key="",
        digest=digest_of((payload,)),
        size=len(payload),
        format=format,
        kind="inline",
        filename=filename,
        run=run,
        signature=signature,
        inline=payload,
    )


def inline_json(format: str, payload: bytes) -> dict[str, str]:  # noqa: A002
    """Return the tagged dict of `inline_ref`, at a tenth of its cost; for a format that is known to be one."""
    text = b2a_base64(payload, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()
    return {TAG: _inline_head(format) + text}


def inline_json_each(format: str, payloads: Iterable[bytes]) -> Iterator[dict[str, str]]:  # noqa: A002
    """Yield what `inline_json` returns for each payload, in less time."""
    head = _inline_head(format)
    for payload in payloads:
        yield {TAG: head + b2a_base64(payload, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()}


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


@lru_cache(maxsize=32)
def _inline_head(format: str) -> str:  # noqa: A002
    return f"{INLINE}f={quote(format, safe='@/')}&v="


def is_tagged(obj: object) -> TypeGuard[dict[str, str]]:
    """Return whether `obj` is a reference on the wire; any other dict is the user's data."""
    # Exactly one key: a dict with the tag and more is the user's own data.
    if not isinstance(obj, dict) or len(obj) != 1:
        return False
    uri = obj.get(TAG)
    return isinstance(uri, str) and uri.startswith(SCHEME)


_known: Final[dict[str, ArtifactRef]] = {}
"""References that were written or parsed lately, by their texts: one is met at every station of a value.

Without a lock: each use of it is one operation, and it may forget any of them."""
_MOST_KNOWN: Final = 128


def _remember(uri: str, ref: ArtifactRef) -> None:
    if type(uri) is str and len(uri) <= _OFTEN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[uri] = ref


def _parse_uri(uri: str) -> ArtifactRef:
    # A subclass of str may compare as it likes.
    ref = _known.get(uri) if type(uri) is str else None
    if ref is None:
        found = fields_of(uri)
        ref = inline_ref(**found) if "payload" in found else ArtifactRef(**found)
        _remember(uri, ref)
    return ref


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:6] + "…" if digest else "unpinned"
