"""Callers without a key: ``python -m benchmarks.soak.strangers ENDPOINT SECONDS``.

Four hundred calls that send headers and no message, then a hundred uploads in the name of a key that is not theirs,
all held open as long as the server lets them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import grpc

SILENT = 400
INVENTED = 100
A_CONNECTION = 100
SERVICE = "/ignis.storage.v1.StorageService/"
FORGED = (("x-acs-key", "AKAAAAAAAAAAAAAAAAAA"), ("x-acs-hash", "0" * 64), ("x-acs-sig", "0" * 64))


def besiege(endpoint: str, seconds: float) -> None:
    """Open the calls, and open each again when the server ends it, for that long."""
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait()
        yield from ()

    # Each channel with a connection of its own, which gRPC would otherwise share.
    channels = [
        grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range((SILENT + INVENTED) // A_CONNECTION)
    ]
    forged = (*FORGED, ("x-acs-date", str(int(time.time() * 1000))))
    wanted = [("HeadObject", ())] * SILENT + [("WriteObject", forged)] * INVENTED
    open_calls: list[grpc.Call | None] = [None] * len(wanted)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for place, (method, metadata) in enumerate(wanted):
            call = open_calls[place]
            if call is None or not call.is_active():
                channel = channels[place % len(channels)]
                open_calls[place] = channel.stream_stream(SERVICE + method)(silence(), metadata=metadata)
        over.wait(1.0)
    over.set()
    for call in open_calls:
        if call is not None:
            call.cancel()
    for channel in channels:
        channel.close()


if __name__ == "__main__":
    besiege(sys.argv[1], float(sys.argv[2]))
