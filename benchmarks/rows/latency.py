"""Files over a link with 20 ms of round trip, beside one and eight plain streams over the same link."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc

from actorc.storage import StorageClient
from benchmarks.baselines.bare_grpc import Bare
from benchmarks.cases import Arm, Case, MiB, Speed, file_of, size_text
from benchmarks.delaying_proxy import delayed
from benchmarks.services import TCP
from benchmarks.setting import BUCKET

LINK = (0.020, {"bandwidth": 250 * MiB, "window": 1 * MiB})
"""Round trip in seconds, bandwidth of all connections together, and window of each."""
EIGHT = "eight plain streams"


def cases(setting):
    yield from over_links(setting, LINK)


def over_links(setting, *links):
    """Yield the way down and the way up of each link."""
    source = file_of(setting.folder / "far", setting.scale.large)
    for rtt, limits in links:
        with ExitStack() as stack:
            client = StorageClient(stack.enter_context(delayed(setting.server.endpoint, rtt=rtt, **limits)))
            stack.enter_context(client)
            client.upload_file(BUCKET, "far", source)
            bare = stack.enter_context(delayed(setting.bare.endpoint, rtt=rtt, **limits))
            plain = [_plain(stack, bare, setting.bare.pids) for _ in range(8)]
            yield from _both(setting, client, plain, source, _name(rtt, limits))


def _plain(stack, endpoint, pids):
    # of its own, or gRPC would give equal channels one connection
    options = [("grpc.use_local_subchannel_pool", 1)]
    return Bare(stack.enter_context(grpc.insecure_channel(endpoint, options)), pids)


def _name(rtt, limits):
    if not limits:
        return f"{rtt * 1000:g} ms"
    return f"{rtt * 1000:g} ms, {limits['bandwidth'] // MiB} MiB/s, window {size_text(limits['window'])}"


def _both(setting, client, plain, source, link):
    size, target, pids = setting.scale.large, setting.folder / "from far", setting.server.pids

    def case(name, ours, theirs):
        arms = [
            Arm(name, lambda _: ours(), pids, TCP, Speed(0.8, (EIGHT,))),
            Arm(EIGHT, lambda _: _together(theirs, plain, size), setting.bare.pids),
            Arm("one plain stream", lambda _: theirs(plain[0], size), setting.bare.pids),
        ]
        return Case(f"{name}, {size_text(size)}, {link}", arms, size, rounds=min(2, setting.scale.rounds))

    yield case("download_file", lambda: client.download_file(BUCKET, "far", target, overwrite=True), _read)
    yield case("upload_file", lambda: client.upload_file(BUCKET, "far up", source), Bare.send)
    yield case("get_object", lambda: client.get_object(BUCKET, "far"), _read)
    data = source.read_bytes()
    yield case("put_object", lambda: client.put_object(BUCKET, "far put", data), Bare.send)


def _read(bare, size):
    for _ in bare.stream(size):
        pass


def _together(theirs, plain, size):
    with ThreadPoolExecutor(len(plain)) as threads:
        list(threads.map(lambda bare: theirs(bare, size // len(plain)), plain))
