"""Which transport leads to a server."""

from __future__ import annotations

from actorc.storage.config import ClientOptions

from .transport import Transport


def opened_transport(options: ClientOptions, endpoint: str) -> Transport:
    """Return connections to a server; none is made before the first call.

    Args:
        options: Settings of the client.
        endpoint: ``host:port`` of the server.
    """
    from .grpc.channels import Channels  # noqa: PLC0415  # loads gRPC, which a client that never needs it must not

    return Channels(options, endpoint)
