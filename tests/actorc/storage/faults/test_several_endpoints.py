"""Two ways to one store, of which one breaks: the client goes on by the other, and nothing is lost or done twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import NetworkError, RetryPolicy, StorageClient
from actorc.storage._rpc.grpc import channels
from actorc.storage.testing import WireFault

MiB = 1 << 20
BIG = bytes(range(256)) * (8 * MiB // 256)
FAR = 1 << 60
STILL = (("grpc.keepalive_time_ms", 300), ("grpc.http2.ping_timeout_ms", 300), ("grpc.http2.max_pings_without_data", 0))
"""A server that stands still is left within a second instead of half a minute."""


@pytest.fixture
def ways(server, make_proxy):
    return make_proxy(server.endpoint), make_proxy(server.endpoint)


@pytest.fixture
def both(ways):
    """A client that retries only as often as it usually does."""
    endpoint = ",".join(each.endpoint for each in ways)
    with StorageClient(endpoint, idle_timeout=0.5, retry=RetryPolicy(base=0.001)) as it:
        yield it


def connections(ways):
    return [each.connections for each in ways]


@pytest.mark.few(1)
@pytest.mark.parametrize("after", [MiB // 2, MiB, 5 * MiB + 17])
def test_a_download_that_breaks_anywhere_goes_on_by_the_other_way(ways, both, direct, after):
    direct.put_object("bucket", "key", BIG)
    ways[0].plan = [(None, WireFault("cut", after))]

    assert both.get_object("bucket", "key") == BIG
    assert connections(ways) == [1, 1]


def test_what_arrived_is_not_read_again_by_the_other_way(ways, both, direct):
    direct.put_object("bucket", "key", BIG * 2)
    pieces = both.stream_object("bucket", "key")
    begin = b"".join(next(pieces) for _ in range(4))
    ways[0].drop_all()

    assert begin + b"".join(pieces) == BIG * 2
    assert connections(ways) == [1, 1]
    assert ways[1].sent_down < 2 * len(BIG) - 3 * MiB


def test_a_download_stays_with_its_generation_by_the_other_way(ways, both, direct):
    direct.put_object("bucket", "key", BIG)
    ways[0].plan = [(None, WireFault("cut", 3 * MiB))]
    pieces = both.stream_object("bucket", "key")
    begin = next(pieces)
    direct.put_object("bucket", "key", b"replaced")

    assert begin + b"".join(pieces) == BIG
    assert connections(ways) == [1, 1]


@pytest.mark.parametrize("after", [MiB // 2, 3 * MiB])
def test_an_upload_that_breaks_is_stored_once_by_the_other_way(ways, both, direct, after):
    ways[0].plan = [(WireFault("cut", after), None)]
    put = both.put_object("bucket", "key", BIG, if_absent=True)

    assert direct.get_object("bucket", "key") == BIG
    assert direct.head_object("bucket", "key")["generation"] == put["generation"]
    assert connections(ways) == [1, 1]


def test_a_lost_reply_gets_the_first_answer_by_the_other_way(ways, both, direct):
    both.server_info()
    ways[0].drop_all()
    ways[0].plan = [(None, WireFault("cut", 200)) for _ in range(4)]
    ways[1].plan = [(None, WireFault("cut", 200)) for _ in range(2)]
    put = both.put_object("bucket", "key", b"once", if_absent=True)

    assert direct.head_object("bucket", "key")["generation"] == put["generation"]
    assert sum(connections(ways)) >= 4


def test_a_way_that_stalls_is_left_for_the_other(ways, both, direct):
    direct.put_object("bucket", "key", BIG)
    ways[0].plan = [(None, WireFault("stall", 3 * MiB))]

    assert both.get_object("bucket", "key") == BIG
    assert connections(ways) == [1, 1]


def test_a_stream_that_is_read_once_is_stored_by_both_ways(ways, both, direct):
    ways[0].plan = [(WireFault("cut", 2 * MiB), None) for _ in range(3)]
    put = both.upload_from_stream("bucket", "key", iter([BIG] * 2), chunk_size=MiB)

    assert (put["size"], direct.get_object("bucket", "key")) == (2 * len(BIG), BIG * 2)
    assert direct.list_multipart_uploads("bucket")["uploads"] == []
    assert ways[1].connections >= 1


@pytest.mark.slow
def test_a_small_call_at_a_server_that_stands_still_goes_to_the_next(ways, direct, monkeypatch):
    monkeypatch.setattr(channels, "_MULTI_SERVER_OPTIONS", STILL)
    up, down = WireFault("stall", FAR), WireFault("stall", FAR)
    ways[0].plan = [(up, down)]
    with StorageClient(",".join(each.endpoint for each in ways), retry=RetryPolicy(base=0.001)) as client:
        client.put_object("bucket", "key", b"there")
        up.after = down.after = 0
        found = client.head_object("bucket", "key")

    assert found["size"] == 5
    assert connections(ways) == [1, 1]


@pytest.mark.slow
def test_many_transfers_survive_ways_that_take_turns_in_breaking(ways, direct, tmp_path):
    for each in ways:
        each.plan = [(WireFault("cut", 3 * MiB), WireFault("cut", 5 * MiB)) for _ in range(4)]
    contents = [bytes([number]) * (4 * MiB + number) for number in range(8)]
    patient = RetryPolicy(attempts=30, unreached_attempts=30, base=0.001, cap=0.05)

    def there_and_back(number):
        client.put_object("bucket", f"{number}", contents[number], if_absent=True)
        return client.get_object("bucket", f"{number}")

    with (
        StorageClient(",".join(each.endpoint for each in ways), retry=patient) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        got = list(pool.map(there_and_back, range(8)))

    assert got == contents
    assert min(connections(ways)) >= 1


@pytest.mark.thorough
@pytest.mark.slow
def test_parts_of_a_large_file_and_their_journal_serve_by_either_way(ways, direct, tmp_path):
    source, target = tmp_path / "big.bin", tmp_path / "copy.bin"
    source.write_bytes(b"".join(number.to_bytes(8, "big") * (MiB // 8) for number in range(80)))

    def drop(done, total):
        if done > total // 2:
            ways[0].close()

    with StorageClient(",".join(each.endpoint for each in ways), retry=RetryPolicy(base=0.001)) as client:
        client.upload_file("bucket", "key", source, progress=drop)
        client.download_file("bucket", "key", target)

    assert target.read_bytes() == source.read_bytes()
    assert ways[1].connections >= 1
    assert direct.list_multipart_uploads("bucket")["uploads"] == []


def test_when_both_ways_end_nowhere_the_error_names_both(ways, direct):
    direct.put_object("bucket", "key", b"x")
    for each in ways:
        each.close()
    client = StorageClient(",".join(each.endpoint for each in ways), retry=RetryPolicy(base=0.001))
    with client, pytest.raises(NetworkError) as caught:
        client.get_object("bucket", "key")

    assert all(each.endpoint in caught.value.message for each in ways)
