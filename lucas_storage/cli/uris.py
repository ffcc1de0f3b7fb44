"""Targets on the command line: ``BUCKET[/KEY]``, or a ``lucas://`` reference, whole or without its query.

In a key, ``*``, ``?`` and ``[…]`` are wildcards for the commands that take several objects, unless there is an object
whose key is written like this. A ``lucas://`` target may encode them: ``%2A`` is always a star.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

import click

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import check_bucket, check_prefix
from lucas_storage.declared_settings import DEFAULT_STORE

SCHEME: Final = "lucas://"

_REFERENCE: Final = re.compile(r"\?[a-z!]+=")
_OTHER_SCHEME: Final = re.compile(r"(?!lucas:)[A-Za-z][A-Za-z0-9+.-]*://")
_WILDCARD: Final = re.compile(r"[*?[]")
_ENCODED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_UNSAFE: Final = re.compile(r"""[\s%?*\[\]"#$&'();<>\\^`{|}~!]""")
"""Wildcards, and the characters that a shell does not take as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bucket, a prefix or an object.

    As text it is the ``lucas://`` target that names exactly it, in one word of a shell, without quotes.
    """

    store: str = DEFAULT_STORE
    bucket: str
    key: str = ""
    """A key, or the beginning of some; empty for the bucket as a whole."""
    digest: str | None = None
    """``sha256:`` and the digest that the content must have, if a whole reference was given."""
    pattern: str = ""
    """The key with its wildcards, the rest of it decoded; empty if it has none."""

    def at(self, key: str) -> Target:
        """Return the object of this key, or the prefix, in the same bucket."""
        return Target(store=self.store, bucket=self.bucket, key=key)

    def __str__(self) -> str:
        # Unprintable characters are encoded, too: a printed target is copied from a terminal, or taken by `xargs`.
        key = _UNSAFE.sub(_encoded, self.key)
        if not key.isprintable():
            key = "".join(each if each.isprintable() else quote(each, errors="surrogatepass") for each in key)
        return f"{SCHEME}{self.store}/{self.bucket}/{key}"


def parse(text: str) -> Target:
    """Return the target that `text` names.

    Raises:
        InvalidParameterError: It names none.
    """
    text = as_text(text)
    check_scheme(text)
    # A query makes it a reference, whose digest is then checked; a plain target may hold a question mark as wildcard.
    if text.startswith(SCHEME) and _REFERENCE.search(text):
        from lucas_storage.refs import ArtifactRef  # noqa: PLC0415  # few targets are references

        try:
            ref = ArtifactRef.parse(text)
        except InvalidParameterError as error:
            raise _explained(text, error) from error
        return Target(store=ref.store, bucket=ref.bucket, key=ref.key, digest=ref.digest)
    if text.startswith(SCHEME):
        store, _, rest = text.removeprefix(SCHEME).partition("/")
        name, _, rest = rest.partition("/")
        # Twice: an encoded star is a star in the key, and must not become a wildcard in the pattern.
        literal, pattern = unquote(rest), _ENCODED.sub(lambda run: glob.escape(unquote(run[0])), rest)
    else:
        store = DEFAULT_STORE
        name, _, rest = text.partition("/")
        literal = pattern = rest
    return Target(
        store=store,
        bucket=_bucket(name, store, text),
        key=check_prefix(literal, "key"),
        pattern=pattern if has_wildcards(rest) else "",
    )


def _bucket(name: str, store: str, text: str) -> str:
    """Return the bucket of a target; the error for none explains the store, which names for fsspec lack."""
    try:
        return check_bucket(name)
    except InvalidParameterError as error:
        if not text.startswith(SCHEME):
            raise
        rest = "BUCKET/KEY" if store == DEFAULT_STORE else text.removeprefix(SCHEME)
        raise InvalidParameterError(
            f"{error.message}; behind {SCHEME} come a store and a bucket, as in {SCHEME}{DEFAULT_STORE}/{rest}"
        ) from error


def _explained(text: str, error: InvalidParameterError) -> InvalidParameterError:
    """Return the error for a text that looks like a reference, but is none; perhaps it was meant as a key."""
    key, _, query = text.partition("?")
    if {"d", "n", "f"} <= {each.partition("=")[0] for each in query.split("&")}:
        return error
    return InvalidParameterError(
        f"{text!r} has a '?', behind which a reference tells digest and size, and these do not follow; if it is part "
        f"of the key, write it %3F: {key}%3F{query}"
    )


def _encoded(character: re.Match[str]) -> str:
    # Not all that `quote` encodes: letters beyond ASCII stay readable. It leaves a tilde, which a shell expands.
    return "%7E" if character[0] == "~" else quote(character[0])


def as_text(name: str) -> str:
    """Return a name from the system as text: bytes that Python could not decode are UTF-8, in every locale.

    Raises:
        InvalidParameterError: It is no UTF-8, and so cannot be a key.
    """
    try:
        return name.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        raise InvalidParameterError(
            f"the name {name!a} is not UTF-8, and keys are; rename the file, or copy it alone to a key"
        ) from None


def is_target(text: str) -> bool:
    """Return whether an argument that may also be a local file is written ``lucas://…``.

    Raises:
        UsageError: It begins like the address of another service.
    """
    try:
        check_scheme(text)
    except InvalidParameterError as error:
        raise click.UsageError(error.message) from error
    return text.startswith(SCHEME)


def check_scheme(text: str) -> None:
    """Check that a text does not begin like the address of another service, such as ``s3://``.

    Raises:
        InvalidParameterError: It does.
    """
    if _OTHER_SCHEME.match(text):
        raise InvalidParameterError(
            f"{text!r} has a scheme that is not known here; an object is written {SCHEME}STORE/BUCKET/KEY, "
            f"and a local file of this name ./{text}"
        )


def has_wildcards(text: str) -> bool:
    """Return whether `text` holds anything that could be a wildcard."""
    return _WILDCARD.search(text) is not None


def prefix(text: str) -> Target:
    """Return a bucket, or the beginning of keys in it, given on the command line."""
    try:
        return parse(text)
    except InvalidParameterError as error:
        raise click.BadParameter(error.message) from error


def bucket(text: str) -> Target:
    """Return a bucket given on the command line."""
    target = prefix(text)
    if target.key:
        raise click.BadParameter(f"{text!r} names an object; give the name of a bucket alone")
    return target


def key(text: str) -> Target:
    """Return the place of an object given on the command line."""
    target = prefix(text)
    if not target.key:
        raise click.BadParameter(f"{text!r} names no object; add a slash and its key")
    return target
