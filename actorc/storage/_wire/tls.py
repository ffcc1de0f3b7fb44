"""TLS files, read and checked before gRPC gets them: gRPC would only log the error and fail later."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from actorc.storage.errors import InvalidParameterError


class Pem(NamedTuple):
    """Trusted authorities, own certificate and private key of a peer, in PEM."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


def read_pem(*, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> Pem:
    """Return the content of the files.

    Args:
        ca: Authorities to trust.
        certificate: The own certificate, followed by those between it and an authority.
        key: Its private key, not encrypted.

    Raises:
        InvalidParameterError: A file cannot be read, is no PEM, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        with _usable(f"the TLS authorities in {ca}"):
            context.load_verify_locations(ca)
    if certificate is not None:
        with _usable(f"the TLS certificate {certificate} with the key {key}"):
            # without a password OpenSSL would ask for one on the terminal
            context.load_cert_chain(certificate, key, password="")
    return Pem(*(path.read_bytes() if path else None for path in (ca, certificate, key)))


@contextmanager
def _usable(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or error
        raise InvalidParameterError(f"{what} cannot be used ({why}); give readable, matching PEM files") from error
