"""``python -m actorc.storage.server``: runs a storage server."""

from __future__ import annotations

import sys

from actorc.storage.errors import StorageError
from actorc.storage.serve_command import serve

_PROGRAM = "python -m actorc.storage.server"

if __name__ == "__main__":
    try:
        serve(prog_name=_PROGRAM)
    except StorageError as error:
        sys.stderr.write(f"{_PROGRAM}: {error.message}\n")
        sys.exit(2)
