"""What commands are pointed at: ``BUCKET[/KEY]``, or a ``lucas://`` reference, whole or without its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import click

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import check_bucket, check_prefix
from lucas_storage.refs import ArtifactRef
from lucas_storage.settings import DEFAULT_STORE

SCHEME: Final = "lucas://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bucket, or a place in it."""

    store: str = DEFAULT_STORE
    bucket: str
    key: str = ""
    """A key, or the beginning of some; empty for the bucket as a whole."""
    digest: str | None = None
    """``sha256:`` and the digest that the content must have, if a whole reference was given."""


def parse(text: str) -> Target:
    """Return the target that `text` names.

    Raises:
        InvalidParameterError: It names none.
    """
    if text.startswith(SCHEME) and "?" in text:
        ref = ArtifactRef.parse(text)
        return Target(store=ref.store, bucket=ref.bucket, key=ref.key, digest=ref.digest)
    if text.startswith(SCHEME):
        store, _, rest = text.removeprefix(SCHEME).partition("/")
        name, _, rest = rest.partition("/")
        return Target(store=store, bucket=check_bucket(name), key=check_prefix(unquote(rest), "key"))
    name, _, rest = text.partition("/")
    return Target(bucket=check_bucket(name), key=check_prefix(rest, "key"))


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
