"""When a certificate ends, as its X.509 says; the standard library tells it only of the other side of a connection."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0
"""Tag of the first field, which certificates of version 1 lack (RFC 5280, 4.1)."""
_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""Formats of UTCTime and GeneralizedTime by their tags (RFC 5280, 4.1.2.5)."""


def end_of_certificate(pem: str) -> float:
    """Return when the first certificate of a file ends, in seconds since 1970-01-01 UTC.

    Raises:
        ValueError: There is none that can be read.
    """
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in the file")
    try:
        certificate = _content(ssl.PEM_cert_to_DER_cert(found[0]))
        fields = [field for field in _elements(_content(certificate)) if field[0] != _VERSION]
        # serial number, algorithm, issuer, validity
        _, (tag, text) = _elements(fields[3][1])
        return datetime.strptime(text.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC).timestamp()
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError("the certificate cannot be read") from error


def _content(der: bytes) -> bytes:
    return next(_elements(der))[1]


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of DER."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(der[at : at + digits]), at + digits
        yield tag, der[at : at + size]
        at += size
