"""The error for a failed call: the one that the service sent, or one made from what the transport says."""

from __future__ import annotations

import re
from collections.abc import Callable

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.call_headers import DETAILS_KEY
from actorc.storage._wire.error_status import error_from_status
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.errors import DamagedMessageError, NetworkError, StorageError, error_class

from .answer_checks import damaged_answers
from .transport import CallFailedError

_BREAKS = re.compile(r"(Socket closed|Connection reset by peer|Broken pipe)( \(\d+\))?$")
"""End of the message about a connection that was made and then broke, with or without an error number."""
_HERE = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\]):\d+ \(from (the built-in default|STORAGE_ENDPOINT|/.*\.json)")
"""Beginning of an address on this machine that was found, or that a local server may have set, with its origin."""
_TRANSPORT_CODES = {
    StatusCode.CANCELLED,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.UNAVAILABLE,
    StatusCode.UNIMPLEMENTED,
}
"""Status codes that a transport itself sets. Others come from the service, with details or after an error in band."""


def error_from_call(
    failed: CallFailedError, address: str, opened: Callable[[bytes], bytes] = lambda details: details
) -> StorageError:
    """Return the error that a failed call stands for.

    Args:
        failed: How the call ended.
        address: The server's address and where it was set, for messages.
        opened: Returns the serialized `Status` in the details among the trailers, and raises if it is damaged.
    """
    code = failed.code
    # A call that was cancelled here has that status, whatever the server was saying at that moment.
    is_cancelled_here = code is StatusCode.CANCELLED and failed.cancelled_here
    details = None if is_cancelled_here else _details(failed)
    if details is not None:
        return _error_in_details(details, code, opened)
    if code not in _TRANSPORT_CODES:
        return DamagedMessageError(_transport_message(code, failed.details, address))
    # a cancellation that this process did not ask for came from the server or a proxy, so another attempt may succeed
    if code is StatusCode.CANCELLED and not is_cancelled_here:
        return NetworkError(f"the storage server at {address} broke off the call; retry")
    if code is StatusCode.UNAVAILABLE and (mistake := _tls_mistake(failed.details, address)):
        return NetworkError(mistake, retryable=False)
    error = error_class("", code.name)(_transport_message(code, failed.details, address))
    if isinstance(error, NetworkError):
        error.broken = bool(_BREAKS.search(failed.details))
    return error


def _error_in_details(data: bytes, code: StatusCode, opened: Callable[[bytes], bytes]) -> StorageError:
    """Return the error in the details `data` if they are undamaged and agree with the status of the call."""
    try:
        with damaged_answers():
            details = pb.Status.FromString(opened(data))
            error = error_from_status(details)
    except DamagedMessageError as damage:
        # damaged details are worth a retry; their text is not trusted, since any byte of it may be wrong
        return damage
    if details.code != code:
        return DamagedMessageError(
            f"the storage server failed with {code.name}, and its reason is that of another status"
        )
    return error


def _details(failed: CallFailedError) -> bytes | None:
    for name, value in failed.metadata:
        if name == DETAILS_KEY and isinstance(value, bytes):
            return value
    return None


def _transport_message(code: StatusCode, said: str, address: str) -> str:
    match code:
        case StatusCode.UNAVAILABLE:
            return f"no storage server answers at {address}; {_unavailable_advice(said, address)} ({said})"
        case StatusCode.DEADLINE_EXCEEDED:
            return f"the storage server at {address} did not answer in time; retry, or pass a longer timeout="
        case StatusCode.UNIMPLEMENTED:
            return f"what listens at {address} is no storage server, or an older one; check host and port ({said})"
        case StatusCode.RESOURCE_EXHAUSTED:
            return f"the storage server at {address} is busy; retry later ({said})"
        case StatusCode.CANCELLED:
            return "the call was cancelled"
        case _:
            return (
                f"the call to {address} failed with {code.name} and without the reason that a storage server gives; "
                f"something between may have answered in its place, check host and port ({said})"
            )


def _unavailable_advice(said: str, address: str) -> str:
    if said.startswith("failed to connect") and _BREAKS.search(said):
        return (
            "something closes the connection at once, a server with TLS wants use_ssl=True, "
            "and if it asks for a client certificate, cert_file= and key_file="
        )
    here = _HERE.match(address)
    if here is None:
        return "start 'lucas-storage serve' there, or correct the address"
    if here[1] == "STORAGE_ENDPOINT":
        return (
            "if lucas_storage.local() started that server, call it again, else start 'lucas-storage serve' there, or "
            "unset STORAGE_ENDPOINT, so that lucas_storage.local() or 'lucas-storage run' start one"
        )
    return (
        "call lucas_storage.local() first, or start the program with 'lucas-storage run', or a server with "
        "'lucas-storage serve', or set STORAGE_ENDPOINT to where one is"
    )


def _tls_mistake(said: str, address: str) -> str:
    """Return a description of the TLS mistake that `said` proves, or an empty string."""
    if "WRONG_VERSION_NUMBER" in said:
        return f"the server at {address} does not speak TLS; leave out use_ssl, or start it with --tls-cert, --tls-key"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"the TLS certificate of {address} is not signed by a trusted authority; pass ca_file=, "
            f"or set STORAGE_CA_FILE, with the one that signed it ({said})"
        )
    if "Hostname Verification" in said:
        return f"the TLS certificate of {address} is for another host; use a name that stands in it ({said})"
    return ""
