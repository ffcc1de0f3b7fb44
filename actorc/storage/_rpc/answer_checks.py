"""Checks that an answer can be parsed and belongs to its request. Pure: no call is made here.

A flipped bit may turn a request into another valid one; its answer is then well-formed, but about another object. So
every name in an answer is compared with the request, also for servers that send no checksums of messages. A mismatch is
a `DamagedMessageError`, which is retried; a change is retried with the same idempotency key, so that it is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError, Message

from actorc.storage.errors import DamagedMessageError, InvalidParameterError
from actorc.storage.models import BucketInfo, DeleteResult, ListQuery, ObjectInfo, PartInfo, UploadInfo

if TYPE_CHECKING:
    from actorc.storage._wire.url_signing import Grant

AnyMessage = TypeVar("AnyMessage", bound=Message)

_UNREADABLE: Final = (DecodeError, OverflowError)
"""What protobuf raises for bytes that are no message, and models for a field that no server sends."""


def parsed(kind: type[AnyMessage], data: bytes | None) -> AnyMessage:
    """Return the message of an answer.

    Raises:
        DamagedMessageError: `data` is None, or no message of this kind.
    """
    # gRPC returns None for a call that succeeded without an answer
    if data is None:
        raise DamagedMessageError("the storage server answered with nothing; the answer was lost on its way")
    try:
        return kind.FromString(data)
    except _UNREADABLE as error:
        raise _unreadable(error) from error


class damaged_answers:  # noqa: N801 - used as a function
    """A block that turns errors of parsing an answer into a `DamagedMessageError`, the original chained.

    A class, since every call has such blocks, and one made of a generator takes four times as long.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, _UNREADABLE):
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> DamagedMessageError:
    return DamagedMessageError(f"the answer of the storage server cannot be read ({error})")


def of_object(info: ObjectInfo, bucket: str, key: str) -> ObjectInfo:
    """Return `info` if it describes the object of this name.

    Raises:
        DamagedMessageError: It does not.
    """
    if (info.bucket, info.key) != (bucket, key):
        raise _other("an object of another name", bucket, key)
    return info


def of_write(info: ObjectInfo, bucket: str, key: str, size: int, crc32c: int | None) -> ObjectInfo:
    """Return `info` if it describes an object of this name with the bytes that were sent.

    Args:
        info: The answer.
        bucket: That of the request.
        key: That of the request.
        size: Bytes that were sent.
        crc32c: Their checksum; None: the server alone has read them.

    Raises:
        DamagedMessageError: It does not.
    """
    of_object(info, bucket, key)
    if info.size != size or crc32c not in {None, info.crc32c}:
        raise _other("other bytes than were sent", bucket, key)
    return info


def of_read(info: ObjectInfo, bucket: str, key: str, generation: int | None, if_match: str | None) -> ObjectInfo:
    """Return `info` if it describes the object that was to be read.

    Args:
        info: The answer.
        bucket: That of the request.
        key: That of the request.
        generation: The generation asked for; None: any.
        if_match: The etag asked for; None or empty: any.

    Raises:
        DamagedMessageError: It describes another object, or another generation.
    """
    of_object(info, bucket, key)
    if generation not in {None, info.generation} or (if_match and if_match != info.etag):
        raise _other("another generation of the object", bucket, key)
    return info


def of_part(info: PartInfo, number: int, size: int, crc32c: int) -> PartInfo:
    """Return `info` if it describes the part that was sent.

    Raises:
        DamagedMessageError: It does not.
    """
    if (info.number, info.size, info.crc32c) != (number, size, crc32c):
        raise _other(f"another part than number {number}, which was sent")
    return info


def of_upload(upload_id: str) -> str:
    """Return the id of a new upload if it is not empty.

    Raises:
        DamagedMessageError: It is empty.
    """
    if not upload_id:
        raise _other("an upload without an id")
    return upload_id


def of_bucket(info: BucketInfo, bucket: str) -> BucketInfo:
    """Return `info` if it describes the bucket of this name.

    Raises:
        DamagedMessageError: It does not.
    """
    if info.name != bucket:
        raise _other("another bucket", bucket)
    return info


def of_buckets(found: list[BucketInfo], after: str) -> list[BucketInfo]:
    """Return the buckets of one page if they are in order and behind `after`.

    Raises:
        DamagedMessageError: They are not.
    """
    _check_ascending([after, *(info.name for info in found)])
    return found


def of_batch(results: list[DeleteResult], bucket: str, keys: Sequence[str]) -> list[DeleteResult]:
    """Return `results` if they are one for each key, in order.

    Raises:
        DamagedMessageError: They are not.
    """
    of_keys([result.key for result in results], bucket, keys)
    return results


def of_keys(told: Sequence[str], bucket: str, keys: Sequence[str]) -> None:
    """Check that the results of a batch are one for each key, in order.

    Raises:
        DamagedMessageError: They are not.
    """
    if list(told) != list(keys):
        raise _other("other keys than the batch has", bucket)


def of_parts(parts: list[PartInfo], after: int, *, is_truncated: bool) -> list[PartInfo]:
    """Return one page of parts if their numbers are in order and behind `after`.

    Raises:
        DamagedMessageError: They are not, or the page is empty and not the last.
    """
    numbers = [after, *(part.number for part in parts)]
    if numbers != sorted(set(numbers)) or (is_truncated and not parts):
        raise _other("parts that are out of order")
    return parts


def of_uploads(found: list[UploadInfo], bucket: str, prefix: str, limit: int) -> list[UploadInfo]:
    """Return one page of uploads if it belongs to the request.

    Raises:
        DamagedMessageError: It is too long, out of order, or holds others.
    """
    _check_length(len(found), limit)
    for info in found:
        if info.bucket != bucket or not info.key.startswith(prefix) or not info.upload_id:
            raise _other("uploads that were not asked for", bucket)
    keys = [info.key.encode() for info in found]
    if keys != sorted(keys) or len({(info.key, info.upload_id) for info in found}) != len(found):
        raise _other("uploads that are out of order", bucket)
    return found


def of_page(query: ListQuery, objects: Sequence[ObjectInfo], prefixes: Sequence[str], after: str) -> str:
    """Return the last name of one page of objects and common prefixes, `after` if it is empty.

    Args:
        query: The request.
        objects: Those of the page.
        prefixes: Those of the page.
        after: The last name of the pages before, or an empty string if it is not known.

    Raises:
        DamagedMessageError: The page is too long, out of order, not behind `after`, or has other names.
    """
    _check_length(len(objects) + len(prefixes), query.limit)
    begin = len(query.prefix)
    for info in objects:
        rolled = bool(query.delimiter) and query.delimiter in info.key[begin:]
        if info.bucket != query.bucket or not info.key.startswith(query.prefix) or rolled:
            raise _other("objects that were not asked for", query.bucket)
    for name in prefixes:
        at = name.find(query.delimiter, begin) if query.delimiter else -1
        if not name.startswith(query.prefix) or at < 0 or at + len(query.delimiter) != len(name):
            raise _other("common prefixes that were not asked for", query.bucket)
    return max((_last([info.key for info in objects], after), _last(prefixes, after)), key=str.encode)


def of_token(token: str, seen: set[str]) -> str:
    """Return the token of the next page if it was not used before; empty: there is no next page.

    Raises:
        DamagedMessageError: It was used before, so the listing would never end.
    """
    if token and token in seen:
        raise _other("a page that leads back to one before")
    return token


def of_url(url: str, grant: Grant) -> str:
    """Return a presigned URL if it grants what was asked for; its expiry is computed by the server.

    Raises:
        DamagedMessageError: It is not.
    """
    from actorc.storage._wire.url_signing import is_url_of  # noqa: PLC0415  # most programs make no URLs

    if not is_url_of(url, grant):
        raise _other("a URL for something else", grant.bucket, grant.key)
    return url


def _last(names: Sequence[str], after: str) -> str:
    _check_ascending([after, *names])
    return names[-1] if names else after


def _check_ascending(names: Sequence[str]) -> None:
    encoded = [name.encode() for name in names]
    if encoded != sorted(set(encoded)):
        raise _other("names that are out of order")


def _check_length(count: int, limit: int) -> None:
    if count > limit:
        raise _other(f"{count} names where {limit} were asked for")


def _other(what: str, bucket: str | None = None, key: str | None = None) -> DamagedMessageError:
    return DamagedMessageError(
        f"the server answered with {what}; request or answer was damaged on its way, and the answer is not believed",
        bucket,
        key,
    )


def check_room(size: int, target: memoryview, bucket: str, key: str) -> None:
    """Raise if the bytes asked for are more than the caller's buffer has.

    Raises:
        InvalidParameterError: They are.
    """
    if size > len(target):
        raise InvalidParameterError(
            f"out has {len(target)} bytes and {size} were asked for; pass a larger buffer, or a length", bucket, key
        )
