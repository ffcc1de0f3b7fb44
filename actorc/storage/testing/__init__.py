"""The real storage service in this process, for tests; `contract` has the tests of a storage engine.

::

    from actorc.storage.testing import local_server

    with local_server() as server, server.client() as client:
        client.put_object("bucket", "key", b"value")

`faulty_server` is one whose network, disk and clock fail when a test wants them to.
"""

from __future__ import annotations

from .faults.fault import Fault
from .faults.faulty_server import FaultyServer, faulty_server
from .faults.proxy import Proxy
from .faults.wire_fault import WireFault
from .server import LocalServer, local_server

__all__ = ["Fault", "FaultyServer", "LocalServer", "Proxy", "WireFault", "faulty_server", "local_server"]
