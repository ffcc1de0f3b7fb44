"""Wording: messages of the client in the words of the command line.

The client's messages name its own parameters and the texts of gRPC. A person at a terminal has options and variables
instead; what a message says to do next must be something that can be typed there.
"""

from __future__ import annotations

import re
from typing import Final

_VARIABLES: Final = {
    "use_ssl=True": "STORAGE_USE_SSL=1",
    "use_ssl": "STORAGE_USE_SSL",
    "ca_file=": "STORAGE_CA_FILE",
    "cert_file=": "STORAGE_CERT_FILE",
    "key_file=": "STORAGE_KEY_FILE",
}
_CAUSES: Final = (
    "Connection refused|Domain name not found|Network is unreachable|No route to host|Connection reset by peer|"
    "CERTIFICATE_VERIFY_FAILED|Hostname Verification Check failed"
)
_REPLACED: Final = (
    (r"; given up after (\d+) attempts, pass timeout= to go on for longer", r"; given up after \1 attempts"),
    (r"retry, or pass a longer timeout=", "try again"),
    (r"pass ca_file=, or set STORAGE_CA_FILE, with the one", "set STORAGE_CA_FILE to the file of the one"),
    (
        r"call lucas_storage\.local\(\) first, or start .{,60} or a server with 'lucas-storage serve'",
        "start one with 'lucas-storage serve', name its directory with --data",
    ),
    (r"call lucas_storage\.local\(\) first, or ", ""),
    (
        r"if lucas_storage\.local\(\) started that server.*? there, or unset STORAGE_ENDPOINT, .* start one",
        "start 'lucas-storage serve' there, or unset STORAGE_ENDPOINT, and name a data directory with --data",
    ),
    (r"pass cert_file= and key_file=, or set", "set"),
    (r", or pass access_key= and secret_key=,", ","),
    (r"pass both, or set", "set both,"),
    (r"(there is no profile .*) \(from (?:the profile )?argument\)", r"\1 (from --profile)"),
    (r"pass use_ssl=True as well", "set STORAGE_USE_SSL=1 as well"),
    (r"check the key with list_objects", "'lucas-storage ls' shows those that do"),
    (r"pass exist_ok=True if that is fine", "add --exist-ok if that is fine"),
    (r"use upload_from_stream or download_to_stream", "use 'cp' with a dash for standard input or output"),
    (r"use upload_from_stream(?: with what is to be stored)?", "send it through standard input, with 'cp' and a dash"),
    (r"pass overwrite=True to replace it", "remove it, or name another file"),
    (r", or use the methods of the client instead", ""),
    (r"delete them first", "remove them first, or add --force"),
    (r"`lucas-storage mb`", "'lucas-storage mb'"),
    (r"max_size and content_type are about", "--max-size and --content-type are about"),
    # What the libraries below gRPC say, in brackets and with addresses in notations of their own.
    (rf" \((?:failed to connect|errors resolving)[^\n]*?({_CAUSES})[^)]*\)+", r" (\1)"),
)
_PATTERNS: Final = tuple((re.compile(pattern), text) for pattern, text in _REPLACED)
_NAMES: Final = re.compile(rf"(?:pass )?\b({'|'.join(_VARIABLES)})")


def worded(message: str) -> str:
    """Return a message without names of parameters, methods and classes; whatever else it says stays."""
    for pattern, text in _PATTERNS:
        message = pattern.sub(text, message)
    return _NAMES.sub(lambda found: f"{'set ' * found[0].startswith('pass ')}{_VARIABLES[found[1]]}", message)
