"""Checksums of whole messages, bound to the call they belong to. Pure: bytes in, bytes out.

A sealed message ends with one more field, number 2047, a ``fixed32``: the CRC-32C of a text that identifies the
message, and of all bytes before the field::

    /ignis.storage.v1.StorageService/HeadObject
    <x-request-id of the call, as it was sent; empty if it was not>
    <x-attempt, likewise>
    request
    <the serialized message>

each line with a line feed at its end; the fourth is ``request``, ``answer`` or, for the `Status` among the trailers,
``status``. No message defines a field of this number, so a peer that does not know it skips it. Since the text is
summed as well, a message that reaches another method, or answers another call, fails like one with a flipped bit.

Both sides announce in their metadata that they seal: `HEADER`. A peer that announced it and sends a message without a
checksum is refused. Frames that carry bytes of an object have their own checksums and are not sealed.
"""

from __future__ import annotations

import struct
from typing import Final

from actorc.storage.errors import DamagedMessageError

from .checksum import crc32c

HEADER: Final = "x-acs-checked"
"""Metadata by which a peer announces, with the value `YES`, that it seals its messages."""
YES: Final = "1"

REQUEST: Final = "request"
ANSWER: Final = "answer"
STATUS: Final = "status"

_FIELD: Final = struct.Struct("<2sI")
_TAG: Final = bytes((2047 << 3 & 0x7F | 5 | 0x80, 2047 >> 4))
"""Tag of field 2047, the greatest number whose tag takes two bytes, as a fixed32."""


class Checks:
    """The checksums of the messages of one call.

    Args:
        method: The full name, ``/package.Service/Method``.
        request_id: The metadata ``x-request-id`` of the call, as it was sent; empty if it was not.
        attempt: ``x-attempt``, likewise.
    """

    def __init__(self, method: str, request_id: str, attempt: str) -> None:
        self._call = crc32c(f"{method}\n{request_id}\n{attempt}\n".encode())

    def seal(self, message: bytes, kind: str) -> bytes:
        """Return a serialized message with its checksum behind it.

        Args:
            message: The serialized message.
            kind: `REQUEST`, `ANSWER` or `STATUS`.
        """
        return message + _FIELD.pack(_TAG, self._sum(message, kind))

    def open(self, message: bytes, kind: str) -> bytes:
        """Return the message without its checksum.

        Raises:
            DamagedMessageError: It has no checksum, one of another call or kind, or was changed on its way.
        """
        # field and value are compared as bytes: decoding a message that may be damaged comes after this check
        if len(message) >= _FIELD.size and message[-_FIELD.size : -4] == _TAG:
            inner = message[: -_FIELD.size]
            if _FIELD.pack(_TAG, self._sum(inner, kind)) == message[-_FIELD.size :]:
                return inner
        raise DamagedMessageError(
            f"the {kind} arrived damaged, or without its checksum, and was not used; send it again"
        )

    def _sum(self, message: bytes, kind: str) -> int:
        return crc32c(message, crc32c(f"{kind}\n".encode(), self._call))
