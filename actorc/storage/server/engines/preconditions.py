"""Checks of preconditions: the current object, and the parts that are to become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actorc.storage.errors import AlreadyExistsError, InvalidParameterError, PreconditionFailedError
from actorc.storage.models import Condition, PartInfo
from actorc.storage.rules import MAX_OBJECT_SIZE

from .base import PartChoice


def check_precondition(condition: Condition, current: str | None, bucket: str, key: str) -> None:
    """Check that the current object meets `condition`.

    Args:
        condition: The condition of the caller.
        current: Etag of the current object; None if there is none.
        bucket: Bucket of the object, for errors.
        key: Key of the object, for errors.

    Raises:
        AlreadyExistsError: The condition demands that there is no object, and there is one.
        PreconditionFailedError: The condition demands another etag.
    """
    if condition.if_absent and current is not None:
        raise AlreadyExistsError("the key is taken; drop if_absent to replace the object", bucket, key)
    if condition.if_match is None or condition.if_match == current:
        return
    if current is None:
        raise PreconditionFailedError("there is no object to match; it was deleted or never written", bucket, key)
    raise PreconditionFailedError(
        f"the object is another one by now, with etag {current}; read it again and decide", bucket, key
    )


def chosen_parts(parts: Sequence[PartChoice], current: Mapping[int, PartInfo]) -> list[PartInfo]:
    """Return the chosen parts, which are to become one object.

    Raises:
        InvalidParameterError: A part was never uploaded, or the object would be too large.
        PreconditionFailedError: A part has another etag.
    """
    chosen = []
    for number, etag in parts:
        part = current.get(number)
        if part is None:
            raise InvalidParameterError(f"part {number} was never uploaded; upload it, then complete again")
        if part.etag != etag:
            raise PreconditionFailedError(
                f"part {number} is another one by now, with etag {part.etag}; list the parts and decide"
            )
        chosen.append(part)
    size = sum(part.size for part in chosen)
    if size > MAX_OBJECT_SIZE:
        raise InvalidParameterError(f"the parts make {size} bytes and an object has at most {MAX_OBJECT_SIZE}")
    return chosen
