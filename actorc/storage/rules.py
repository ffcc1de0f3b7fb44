"""Rules for buckets, keys and metadata, and all limits with their units.

The client applies them before anything is sent, and the server with authority; the messages are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Final
from urllib.parse import urlsplit

from .content_types import DEFAULT_CONTENT_TYPE, guess_content_type  # noqa: F401  # scripts take these two from here
from .errors import InvalidParameterError
from .models import ANY, ByteRange, Condition, SmallObject

KiB: Final = 1 << 10
MiB: Final = 1 << 20
GiB: Final = 1 << 30

MAX_KEY_CHARACTERS: Final = 1024
MAX_METADATA_BYTES: Final = 8 * KiB
MAX_PAGE: Final = 1000
"""Names in one page of a listing."""
MAX_PAGE_BYTES: Final = 3 * MiB
"""Bytes of a page of a listing: gRPC receives 4 MiB by default, and a page has at least one name."""
MAX_BATCH: Final = 1000
"""Keys in one batch, as in a batch delete of S3."""
MAX_RANGES: Final = 1000
"""Ranges in one call."""
MAX_BATCH_BYTES: Final = 4 * MAX_KEY_CHARACTERS * MAX_BATCH
"""Bytes of the keys in one batch delete: as many as the longest keys take in UTF-8."""
MAX_BATCH_KEYS: Final = MiB
"""Bytes of the keys in one batch put or get; its answer repeats them, and tells why an object failed."""
MAX_BATCH_PAYLOAD: Final = 4 * MiB
"""Bytes of one batch put: of its objects, their keys, content types and metadata."""
BLOCK_SIZE: Final = MiB
"""Bytes covered by one stored checksum."""
MAX_CHUNK_SIZE: Final = MiB
"""Payload bytes in one message: throughput of gRPC in Python peaks here and falls for larger messages."""
MAX_INLINE_SIZE: Final = MiB
"""Objects up to this many bytes are put in one unary call."""
MAX_ANSWER_SIZE: Final = 128 * KiB
"""Bytes of an object in a single answer: more of them take longer than a stream."""
MAX_BATCH_OBJECT: Final = MAX_ANSWER_SIZE
"""Bytes of an object in a batch; a larger one travels in a call of its own."""
MAX_MESSAGE_SIZE: Final = 8 * MiB
DEFAULT_CHUNK_SIZE: Final = 5 * MiB
"""Bytes of a part unless given, as the specification has it; wire frames stay at `MAX_CHUNK_SIZE`."""
PARALLEL_FROM: Final = 64 * MiB
"""Objects of at least this many bytes are moved in parts, in parallel, and resumed after a killed process."""
MAX_PARTS: Final = 10_000
"""Parts of one multipart upload, as in S3."""
MAX_TTL: Final = 100 * 365 * 24 * 3600
"""Seconds."""
MAX_OBJECT_SIZE: Final = 5 << 40
"""Bytes: 5 TiB, the largest object S3 accepted for most of its life."""

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_KEY = re.compile(rf"(?!/)[^\x00\ud800-\udfff]{{1,{MAX_KEY_CHARACTERS}}}")
"""What `check_key` allows, in one look: every small call has a key, on both sides."""
API_ROOT: Final = "/api/v1"
"""Where the JSON API begins, behind the base of URLs."""
_HTTP_ENDPOINT = re.compile(r"https?://[^\s\x00-\x1f\x7f?#@]+", re.IGNORECASE)
_HEADER_TEXT = re.compile(r"[^\x00-\x1f\x7f]*")


def check_bucket(bucket: object) -> str:
    """Return `bucket` if it is a valid bucket name.

    Raises:
        InvalidParameterError: It is not 3-63 lower-case letters, digits and hyphens, with a letter or digit at
            both ends.
    """
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        shown = bucket if isinstance(bucket, str) else type(bucket).__name__
        raise InvalidParameterError(
            f"{shown!r} is not a bucket name; use 3-63 lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends"
        )
    return bucket


def check_key(key: object, bucket: str | None = None) -> str:
    """Return `key` if it is a valid object key.

    Raises:
        InvalidParameterError: It is not a string of 1-1024 characters, begins with ``/``, holds NUL or cannot be
            written as UTF-8.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidParameterError(f"an object key {_key_problem(key)}", bucket=bucket)
    return key


def _key_problem(key: object) -> str:
    if not isinstance(key, str):
        return f"must be a str, not {type(key).__name__}"
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        return f"has 1-{MAX_KEY_CHARACTERS} characters, this one has {len(key)}"
    if key.startswith("/"):
        return "must not begin with '/'; drop the slash"
    if "\x00" in key:
        return "must not contain NUL"
    return "must be valid Unicode; this one holds lone surrogates"


def check_prefix(text: object, what: str = "prefix") -> str:
    """Return `text` if it can be a prefix or delimiter of keys.

    Raises:
        InvalidParameterError: It is no string, longer than a key, or not valid Unicode.
    """
    if not isinstance(text, str) or len(text) > MAX_KEY_CHARACTERS or not is_utf8(text):
        raise InvalidParameterError(f"a {what} is a str of at most {MAX_KEY_CHARACTERS} valid characters")
    return text


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return user metadata as a dict of its own.

    Raises:
        InvalidParameterError: A name or value is no valid text, a name is empty, or together they exceed 8 KiB.
    """
    if metadata is None:
        return {}
    # most objects have none, and are checked on both sides
    if isinstance(metadata, dict) and not metadata:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidParameterError(f"metadata is a dict of str to str, not {type(metadata).__name__}")
    for name, value in metadata.items():
        _check_metadata_item(name, value)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise InvalidParameterError(f"metadata takes {size} bytes, at most {MAX_METADATA_BYTES} are allowed")
    return dict(metadata)


def _check_metadata_item(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidParameterError("metadata names and values are str; convert them first")
    if not name or not is_utf8(name) or not is_utf8(value):
        raise InvalidParameterError("metadata names are not empty, and names and values are valid Unicode")


def check_content_type(content_type: object) -> str:
    """Return `content_type` if it can stand in a header.

    Raises:
        InvalidParameterError: It is no string, empty, longer than 255 characters, or holds control characters.
    """
    if not isinstance(content_type, str) or not 1 <= len(content_type) <= 255 or not is_utf8(content_type):
        raise InvalidParameterError("a content type is a str of 1-255 characters such as 'text/csv'")
    if not _HEADER_TEXT.fullmatch(content_type):
        raise InvalidParameterError("a content type holds no control characters")
    return content_type


def check_range(offset: object, length: object) -> ByteRange:
    """Return the range if both ends make sense.

    Raises:
        InvalidParameterError: `offset` or `length` is negative or no int.
    """
    first, size = _size(offset), None if length is None else _size(length)
    if first is None or (size is None and length is not None):
        raise InvalidParameterError(
            "offset and length are ints of 0 or more bytes, below 2**63; length=None reads to the end"
        )
    return ByteRange(first, size)


def check_near_range(offset: object, length: object) -> ByteRange:
    """Return a range of a call that has many of them; a negative `offset` counts from the end of the object.

    Raises:
        InvalidParameterError: `offset` is no int, or `length` is negative or no int.
    """
    first, size = _integer(offset), _size(length)
    if first is None or size is None or _size(abs(first)) is None:
        raise InvalidParameterError(
            "a range is an offset and a length of 0 or more bytes, both of them ints, such as (0, 4096); a negative "
            "offset counts from the end"
        )
    return ByteRange(first, size)


def batch_size(small: SmallObject) -> int:
    """Return the bytes of one object of a batch put that count for `MAX_BATCH_PAYLOAD`."""
    described = small.attributes
    texts = (small.key, described.content_type, *described.metadata, *described.metadata.values())
    return len(small.data) + sum(len(text.encode()) for text in texts)


def repeated(keys: Iterable[str]) -> str | None:
    """Return a key that is there twice; None if there is none."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def check_positive(value: object, what: str) -> int:
    """Return `value` if it is a positive int that a message can hold.

    Raises:
        InvalidParameterError: It is not.
    """
    found = _size(value)
    if not found:
        raise InvalidParameterError(f"{what} is an int of 1 or more, below 2**63, not {value!r}")
    return found


def check_count(value: object, what: str) -> int:
    """Return `value` if it is an int that is not negative.

    Raises:
        InvalidParameterError: It is not.
    """
    found = _integer(value)
    if found is None or found < 0:
        raise InvalidParameterError(f"{what} is an int of 0 or more, not {value!r}")
    return found


def check_ttl(ttl: object) -> int | None:
    """Return `ttl` if it is None or a positive number of whole seconds.

    Raises:
        InvalidParameterError: It is not, or longer than a century.
    """
    found = None if ttl is None else check_positive(ttl, "ttl")
    if found is not None and found > MAX_TTL:
        raise InvalidParameterError(f"ttl is at most {MAX_TTL} seconds, a century; leave it out to keep the object")
    return found


def check_part_number(number: object) -> int:
    """Return `number` if a part may have it.

    Raises:
        InvalidParameterError: It is no int from 1 to 10000.
    """
    found = check_positive(number, "part_number")
    if found > MAX_PARTS:
        raise InvalidParameterError(f"part numbers go from 1 to {MAX_PARTS}; make the parts larger")
    return found


def check_condition(*, if_absent: bool, if_match: str | None) -> Condition:
    """Return the condition if its two parts do not contradict each other.

    Raises:
        InvalidParameterError: Both are given, or the etag is empty or cannot be sent.
    """
    if if_absent and if_match is not None:
        raise InvalidParameterError("if_absent and if_match exclude each other")
    if if_match is not None and not (isinstance(if_match, str) and if_match and is_utf8(if_match)):
        raise InvalidParameterError("if_match is the etag of an object, as put_object and head_object return it")
    return Condition(if_absent=bool(if_absent), if_match=if_match) if if_absent or if_match else ANY


def check_http_endpoint(endpoint: object, origin: str) -> str:
    """Return the base of URLs, without a slash at the end.

    Args:
        endpoint: Such as ``https://storage.example.org``, perhaps with a path.
        origin: Its origin, for the error.

    Raises:
        InvalidParameterError: It is not such a URL.
    """
    if not isinstance(endpoint, str) or not _HTTP_ENDPOINT.fullmatch(endpoint) or not _has_host(endpoint):
        raise InvalidParameterError(
            f"{endpoint!r} (from {origin}) is not where URLs can lead; give one like 'http://127.0.0.1:9001'"
        )
    return endpoint.rstrip("/")


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _size(value: object) -> int | None:
    """Return an int that a message can hold as a number of bytes; None for anything else."""
    found = _integer(value)
    return found if found is not None and 0 <= found < 1 << 63 else None


def _integer(value: object) -> int | None:
    """Return an int, for which libraries such as numpy register classes of their own, too; None for anything else."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def is_utf8(text: str) -> bool:
    """Return whether a text can be written as UTF-8, which lone surrogates cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
