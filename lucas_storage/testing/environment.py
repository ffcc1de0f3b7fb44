"""The environment variables by which all code of a test finds the test's server, and nothing of the developer's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from actorc.storage.testing import FaultyServer, LocalServer

_PREFIXES = ("STORAGE_", "LUCAS_STORAGE_")


def variables(server: LocalServer | FaultyServer, directory: Path, *, bucket: str) -> dict[str, str | None]:
    """Return what to set; None: a variable of the present environment that is to be removed.

    Args:
        server: The server of the test.
        directory: For local copies of artifacts, for journals of uploads, and in place of the user's settings; need not
            exist.
        bucket: The bucket of artifacts.
    """
    present = dict.fromkeys(name for name in os.environ if name.startswith(_PREFIXES))
    # over TCP, as from another machine: the Unix socket of a server hardly has a network to fail
    faulty = (
        {"STORAGE_ACCESS_KEY": server.access_key, "STORAGE_SECRET_KEY": server.secret_key, "STORAGE_LOCAL": "0"}
        if isinstance(server, FaultyServer)
        else {}
    )
    return {
        **present,
        **faulty,
        "STORAGE_ENDPOINT": server.endpoint,
        "LUCAS_STORAGE_BUCKET": bucket,
        "LUCAS_STORAGE_SIGNING_KEY": secrets.token_hex(32),
        "LUCAS_STORAGE_CACHE": str(directory / "cache"),
        # a server that a test starts by 'lucas-storage run' must not take the default port
        "LUCAS_STORAGE_RUN_PORT": "0",
        "XDG_CONFIG_HOME": str(directory / "config"),
        "XDG_STATE_HOME": str(directory / "state"),
    }
