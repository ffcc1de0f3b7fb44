"""Checks of arguments and their conversion to models; a wrong argument raises before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorc.storage import rules
from actorc.storage.buffers import flat_view
from actorc.storage.content_types import guess_content_type
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import (
    ByteRange,
    CompletedPart,
    Condition,
    Destination,
    ListQuery,
    NewObject,
    ObjectAttributes,
    SmallObject,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer


_NEW_OBJECT: Final = frozenset(NewObject.__annotations__)


def object_name(bucket: str, key: str) -> tuple[str, str]:
    """Return both names if they can name an object."""
    return rules.check_bucket(bucket), rules.check_key(key, bucket)


def keys(bucket: str, keys: Iterable[str]) -> list[str]:
    """Return the keys if all of them can name objects of this bucket."""
    rules.check_bucket(bucket)
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise InvalidParameterError(
            f"keys are a list of object keys, not a {type(keys).__name__}; put a single key in brackets", bucket
        )
    return [rules.check_key(key, bucket) for key in keys]


def small_objects(bucket: str, objects: Mapping[str, Buffer] | Iterable[NewObject]) -> list[SmallObject]:
    """Return the objects of a batch put, checked, with their checksums."""
    rules.check_bucket(bucket)
    if isinstance(objects, Mapping):
        checked = [_small_object(bucket, key, data) for key, data in objects.items()]
    elif isinstance(objects, Iterable):
        checked = [_described_object(bucket, fields) for fields in objects]
    else:
        raise _no_small_object(bucket)
    twice = rules.repeated(small.key for small in checked)
    if twice is not None:
        raise InvalidParameterError("the key is there twice; put one of the objects in a later batch", bucket, twice)
    return checked


def _described_object(bucket: str, fields: object) -> SmallObject:
    if not isinstance(fields, Mapping) or not fields.keys() >= {"key", "data"} or not fields.keys() <= _NEW_OBJECT:
        raise _no_small_object(bucket)
    return _small_object(bucket, **fields)


def _small_object(bucket: str, key: str, data: Buffer, **described: Any) -> SmallObject:
    from actorc.storage._wire.checksum import crc32c  # noqa: PLC0415  # loads the checksum library

    target = destination(bucket, key, **described)
    try:
        view = flat_view(data)
    except TypeError as error:
        raise InvalidParameterError(
            f"data is a bytes-like object, not {type(data).__name__}; use put_object for a file or a stream",
            bucket,
            target.key,
        ) from error
    return SmallObject(target.key, view, crc32c(view), target.attributes, target.condition)


def _no_small_object(bucket: str) -> InvalidParameterError:
    return InvalidParameterError(
        'objects are a dict of bytes by key, or dicts such as {"key": "...", "data": b"..."}, which may have '
        f"{', '.join(sorted(_NEW_OBJECT - {'key', 'data'}))} as well",
        bucket,
    )


def destination(
    bucket: str,
    key: str,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    *,
    if_absent: bool = False,
    if_match: str | None = None,
    ttl: int | None = None,
    file_name: str | None = None,
) -> Destination:
    """Return the destination of a write; without `content_type` it is guessed from `file_name`, else from the key."""
    object_name(bucket, key)
    guessed_from = key if file_name is None else file_name
    return Destination(
        bucket=bucket,
        key=key,
        attributes=ObjectAttributes(
            content_type=rules.check_content_type(content_type or guess_content_type(guessed_from)),
            metadata=rules.check_metadata(metadata),
            ttl=rules.check_ttl(ttl),
        ),
        condition=rules.check_condition(if_absent=if_absent, if_match=if_match),
    )


def near_ranges(ranges: Iterable[tuple[int, int]]) -> list[ByteRange]:
    """Return the ranges if each is an offset and a length that make sense."""
    try:
        pairs = [(offset, length) for offset, length in ranges]
    except (TypeError, ValueError) as error:
        raise InvalidParameterError("ranges are pairs of offset and length, such as [(0, 4096), (-8, 8)]") from error
    return [rules.check_near_range(*pair) for pair in pairs]


def target(out: Buffer, *, as_view: bool) -> memoryview:
    """Return the memory of `out` if it can be written to, and no view is asked for as well."""
    if as_view:
        raise InvalidParameterError("as_view maps the object and out copies it; pass one of them")
    try:
        memory = flat_view(out)
        is_writable = not memoryview(out).readonly
    except InvalidParameterError as error:
        raise InvalidParameterError(
            f"out is a {type(out).__name__} whose memory cannot be filled as bytes; pass a contiguous one, of an array "
            "of dates its view as bytes, out.view('u1')"
        ) from error
    except TypeError as error:
        raise InvalidParameterError(
            f"out is a buffer that can be written to, such as a bytearray or an array, not a {type(out).__name__}"
        ) from error
    if not is_writable:
        raise InvalidParameterError(f"out is a {type(out).__name__} that cannot be written to; pass a bytearray")
    # the view of an empty buffer is that of an empty `bytes`, and read-only
    return memory or memoryview(bytearray())


def etag_condition(if_match: str | None) -> Condition:
    """Return the condition that the object has this etag, if one is given."""
    return rules.check_condition(if_absent=False, if_match=if_match)


def list_query(bucket: str, prefix: str, delimiter: str = "", *, details: bool = True) -> ListQuery:
    """Return the query for full pages."""
    return ListQuery(
        bucket=rules.check_bucket(bucket),
        prefix=rules.check_prefix(prefix),
        delimiter=rules.check_prefix(delimiter, "delimiter"),
        limit=rules.MAX_PAGE,
        details=bool(details),
    )


def page_token(token: str | None) -> str:
    """Return the token if it can be one; an empty one begins with the first page."""
    if token is not None and not (isinstance(token, str) and rules.is_utf8(token)):
        raise InvalidParameterError("page_token is the next_page_token of a listing, or None")
    return token or ""


def checked_generation(generation: int | None) -> int | None:
    """Return `generation` if it is None or can be one."""
    # checked here, as the server would take 0 for "the current one"
    return None if generation is None else rules.check_positive(generation, "generation")


def chunk_size(given: int | None, default: int) -> int:
    """Return the bytes of a part, or to read at once; None, 0 and all else that is false mean the default."""
    return rules.check_positive(given or default, "chunk_size")


def upload_id(value: object) -> str:
    """Return `value` if it can be the id of an upload."""
    if not isinstance(value, str) or not value:
        raise InvalidParameterError("upload_id is the str that create_multipart_upload returned")
    return value


def completed_parts(parts: Iterable[CompletedPart]) -> tuple[list[tuple[int, str]], int]:
    """Return number and etag of each part, and the bytes of those that tell their size."""
    numbers, size = [], 0
    try:
        for part in parts:
            # also parts from JSON or from another client, so the fields are checked
            fields: Mapping[str, Any] = part
            numbers.append((rules.check_part_number(fields["part_number"]), fields["etag"]))
            size += fields.get("size") or 0
    except (TypeError, KeyError) as error:
        raise InvalidParameterError(
            'parts are dicts such as {"part_number": 1, "etag": "..."}; pass what upload_part returned'
        ) from error
    if not all(isinstance(etag, str) for _, etag in numbers):
        raise InvalidParameterError("the etag of a part is the str that upload_part returned")
    return numbers, size


def file_path(given: str | os.PathLike[str]) -> Path:
    """Return `given` as a path.

    Raises:
        InvalidParameterError: It is no path.
    """
    try:
        return Path(os.fsdecode(given))
    except TypeError as error:
        raise InvalidParameterError(f"a file path is a str or a Path, not {type(given).__name__}") from error
