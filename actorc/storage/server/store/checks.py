"""Checks of names, attributes, conditions and limits that several operations share."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from actorc.storage import rules
from actorc.storage.content_types import guess_content_type
from actorc.storage.errors import InvalidParameterError, UnsupportedError
from actorc.storage.models import Condition, ObjectAttributes
from actorc.storage.server.engines.base import Engine

MAX_IDEMPOTENCY_KEY: Final = 128
"""Characters; it is stored beside every result."""

GUESSED_TYPE: Final = ObjectAttributes(content_type="")
"""Attributes whose content type is guessed from the key."""


def check_name(bucket: str, key: str) -> None:
    """Raise if bucket and key are no name of an object."""
    rules.check_key(key, rules.check_bucket(bucket))


def check_attributes(attributes: ObjectAttributes, key: str) -> ObjectAttributes:
    """Return `attributes`, checked, with an empty content type guessed from the key."""
    rules.check_metadata(attributes.metadata)
    rules.check_ttl(attributes.ttl)
    if attributes.content_type:
        rules.check_content_type(attributes.content_type)
        return attributes
    return replace(attributes, content_type=rules.check_content_type(guess_content_type(key)))


def check_new_object(
    bucket: str, key: str, attributes: ObjectAttributes, condition: Condition, idempotency_key: str
) -> ObjectAttributes:
    """Check the request for a new object; return its attributes as `check_attributes` does."""
    check_name(bucket, key)
    attributes = check_attributes(attributes, key)
    check_condition(condition)
    check_idempotency_key(idempotency_key)
    return attributes


def check_expiry(ttl: int | None, engine: Engine) -> None:
    """Raise if an object with this ttl, in seconds, is not to be stored in an engine that removes nothing by itself."""
    if ttl is not None and "ttl" not in engine.capabilities:
        raise UnsupportedError("the storage engine of this server removes nothing by itself; leave ttl out")


def check_condition(condition: Condition) -> None:
    """Raise if the two parts of a condition contradict each other."""
    rules.check_condition(if_absent=condition.if_absent, if_match=condition.if_match)


def check_idempotency_key(idempotency_key: str) -> None:
    """Raise if an idempotency key is too long to be stored with every result."""
    if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise InvalidParameterError(f"the idempotency key is too long; use at most {MAX_IDEMPOTENCY_KEY} characters")


def page_limit(page_size: int) -> int:
    """Return the number of entries on a page for which `page_size` was asked; 0 asks for as many as possible."""
    if page_size:
        rules.check_positive(page_size, "page_size")
    return min(page_size or rules.MAX_PAGE, rules.MAX_PAGE)
