"""The real storage service in this process, for tests; `contract` has the tests of a storage engine.

::

    from actorc.storage.testing import local_server

    with local_server() as server, server.client() as client:
        client.put_object("bucket", "key", b"value")
"""

from __future__ import annotations

from .server import LocalServer, local_server

__all__ = ["LocalServer", "local_server"]
