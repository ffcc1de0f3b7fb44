"""Clients in the server's own process, which act in the name of a caller that the server knows already."""

from __future__ import annotations

from ._client.session import Session
from ._rpc.direct.calls import DirectTransport
from ._rpc.retries.retry_policy import RetryPolicy
from ._wire.direct_calls import Carrier
from .config import ClientOptions

__all__ = ["Carrier", "carry"]


def carry(client: Session, carrier: Carrier, seconds: float) -> None:
    """Make `client` one whose calls go to `carrier` alone: no address, no key and no setting of this process is used.

    Args:
        client: A client whose ``__init__`` did not run.
        carrier: Makes the calls, with the permissions of one caller.
        seconds: Timeout of a call.
    """
    options = ClientOptions(
        endpoints=("in-process:1",),
        endpoint_origin="the server's own process",
        access_key=None,
        secret_key=None,
        use_ssl=False,
        timeout=seconds,
        idle_timeout=seconds,
        local=False,
    )
    # one attempt: nothing between the two can break
    client._lead_over(options, RetryPolicy(attempts=1, unreached_attempts=1), DirectTransport(carrier))  # noqa: SLF001  # of this package
