from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from actorc.storage import DeadlineExceededError, NetworkError, RetryPolicy, StorageClient
from actorc.storage.testing import WireFault, local_server
from tests.standstill import stand_still

QUICK = RetryPolicy(attempts=200, unreached_attempts=200, base=0.001, cap=0.02)
MiB = 1 << 20
BIG = bytes(range(256)) * (8 * MiB // 256)


@pytest.mark.few(2)
@pytest.mark.parametrize("after", [1, MiB // 2, MiB, 3 * MiB + 17, 8 * MiB])
def test_a_download_cut_at_any_byte_goes_on_where_it_broke(proxy, client, direct, after):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("cut", after))]

    assert client.get_object("bucket", "key") == BIG
    assert proxy.connections >= 2


def test_a_download_cut_again_and_again_still_arrives(proxy, client, direct):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("cut", int(1.4 * MiB))) for _ in range(7)]

    assert client.get_object("bucket", "key") == BIG


def test_a_resumed_download_stays_with_its_generation(proxy, client, direct):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("cut", 4 * MiB))]
    pieces = client.stream_object("bucket", "key")
    first = next(pieces)
    direct.put_object("bucket", "key", b"replaced")

    assert first + b"".join(pieces) == BIG


@pytest.mark.few(1)
@pytest.mark.parametrize("after", [1, MiB, 5 * MiB])
def test_an_upload_of_a_buffer_is_sent_again(proxy, client, direct, after):
    proxy.plan = [(WireFault("cut", after), None)]
    put = client.put_object("bucket", "key", BIG)

    assert direct.get_object("bucket", "key") == BIG
    assert direct.head_object("bucket", "key")["generation"] == put["generation"]


@pytest.mark.few(1)
@pytest.mark.parametrize("after", [1, MiB // 2, 3 * MiB])
def test_a_stream_that_cannot_be_read_again_survives_broken_connections(proxy, client, direct, after):
    proxy.plan = [(WireFault("cut", after), None) for _ in range(3)]
    put = client.upload_from_stream("bucket", "key", iter([BIG] * 2), chunk_size=MiB)

    assert direct.get_object("bucket", "key") == BIG * 2
    assert direct.head_object("bucket", "key")["generation"] == put["generation"]
    assert direct.list_multipart_uploads("bucket")["uploads"] == []


@pytest.mark.parametrize("at", [MiB, 6 * MiB])
def test_a_flipped_bit_never_reaches_the_caller(proxy, client, direct, at):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("flip", at))]

    assert client.get_object("bucket", "key") == BIG


def test_a_flipped_bit_in_a_single_answer_never_reaches_the_caller(proxy, client, direct):
    direct.put_object("bucket", "key", BIG[: MiB // 8])
    proxy.plan = [(None, WireFault("flip", 30_001))]

    assert client.get_object("bucket", "key") == BIG[: MiB // 8]


@pytest.mark.parametrize("at", [MiB, 6 * MiB])
def test_a_flipped_bit_is_never_stored(proxy, client, direct, at):
    proxy.plan = [(WireFault("flip", at), None)]
    client.put_object("bucket", "key", BIG)

    assert direct.get_object("bucket", "key") == BIG


@pytest.mark.parametrize("after", [MiB, 6 * MiB])
def test_connections_that_are_reset_cost_a_transfer_nothing(proxy, client, direct, after):
    proxy.plan = [(WireFault("reset", after), None), (None, WireFault("reset", after))]
    client.put_object("bucket", "key", BIG)

    assert client.get_object("bucket", "key") == BIG == direct.get_object("bucket", "key")


@pytest.mark.parametrize("at", [1, MiB, 6 * MiB])
def test_bytes_that_come_twice_reach_nobody(proxy, client, direct, at):
    proxy.plan = [(WireFault("repeat", at), None), (None, WireFault("repeat", at))]
    client.put_object("bucket", "key", BIG)

    assert client.get_object("bucket", "key") == BIG == direct.get_object("bucket", "key")


@pytest.mark.slow
def test_a_server_that_stands_still_for_a_while_is_waited_for_and_nothing_happens_twice(serve_process, thorough):
    served = serve_process()
    with StorageClient(served.endpoint, idle_timeout=0.3, timeout=60, retry=QUICK) as client:
        client.put_object("bucket", "key", BIG)
        for _ in range(10 if thorough else 1):
            stand_still(served.process)
            with ThreadPoolExecutor() as threads:
                put = threads.submit(client.put_object, "bucket", "once", b"once", if_absent=True)
                got = threads.submit(client.get_object, "bucket", "key")
                uploaded = threads.submit(client.upload_from_stream, "bucket", "stream", iter([BIG]))
                # longer than the client is patient with a connection
                assert wait([put, got, uploaded], timeout=0.5).done == set()
                served.process.send_signal(signal.SIGCONT)

            assert client.head_object("bucket", "once")["generation"] == put.result()["generation"]
            assert (got.result(), uploaded.result()["size"]) == (BIG, len(BIG))
            client.delete_object("bucket", "once")


def test_a_connection_that_stalls_is_left_and_a_new_one_resumes(proxy, client, direct):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("stall", 3 * MiB))]

    assert client.get_object("bucket", "key") == BIG
    assert proxy.connections == 2


def test_a_single_answer_that_stalls_comes_over_another_connection(proxy, client, direct):
    direct.put_object("bucket", "key", BIG[: MiB // 8])
    proxy.plan = [(None, WireFault("stall", 30_000))]

    assert client.get_object("bucket", "key") == BIG[: MiB // 8]
    assert proxy.connections == 2


def test_a_server_that_stays_silent_is_given_up(proxy):
    proxy.plan = [(None, WireFault("stall", 0)) for _ in range(50)]
    patience = RetryPolicy(attempts=3, base=0.001)
    with StorageClient(proxy.endpoint, idle_timeout=0.1, timeout=0.25, retry=patience) as client:
        for call in (client.get_object, client.head_object):
            with pytest.raises(DeadlineExceededError):
                call("bucket", "key")


@pytest.mark.slow
def test_a_server_that_takes_no_bytes_is_given_up(proxy, direct):
    proxy.plan = [(WireFault("stall", MiB // 2), None) for _ in range(50)]
    patience = RetryPolicy(attempts=2, base=0.001)
    impatient = StorageClient(proxy.endpoint, idle_timeout=0.1, retry=patience)
    # the server is given longer for the answer to a larger part
    with impatient, pytest.raises(DeadlineExceededError):
        impatient.upload_from_stream("bucket", "key", iter([BIG]), chunk_size=MiB)

    assert not direct.object_exists("bucket", "key")


def test_a_lost_reply_is_not_a_second_write(proxy, client, direct):
    client.server_info()
    proxy.drop_all()
    proxy.plan = [(None, WireFault("cut", 200))]
    put = client.put_object("bucket", "key", b"once", if_absent=True)

    assert direct.head_object("bucket", "key")["generation"] == put["generation"]


def test_a_caller_that_stops_reading_lets_go_of_the_stream():
    with local_server(threads=10, reserved=2) as server, server.client() as client:
        # more than gRPC takes while nobody reads: who holds the stream holds one of the eight places for transfers
        client.put_object("bucket", "key", BIG * 6)
        for _ in range(20):
            pieces = client.stream_object("bucket", "key")
            next(pieces)
            pieces.close()

        assert client.get_object("bucket", "key", length=3) == BIG[:3]


def test_a_local_file_is_whole_after_a_broken_download(proxy, client, direct, tmp_path):
    direct.put_object("bucket", "key", BIG)
    proxy.plan = [(None, WireFault("cut", 3 * MiB))]
    client.download_file("bucket", "key", tmp_path / "out.bin")

    assert (tmp_path / "out.bin").read_bytes() == BIG
    assert [found.name for found in tmp_path.glob("*out*")] == ["out.bin"]


def test_a_refused_connection_is_reported_at_once_with_its_origin(free_port):
    with StorageClient(f"127.0.0.1:{free_port}") as client, pytest.raises(NetworkError) as caught:
        client.head_object("bucket", "key")

    assert f"127.0.0.1:{free_port} (from the endpoint argument)" in caught.value.message
    assert "lucas-storage serve" in caught.value.message


def test_a_port_where_something_else_listens_is_told_apart(http_port):
    few = RetryPolicy(attempts=2, base=0.001)
    with StorageClient(f"127.0.0.1:{http_port}", retry=few) as client, pytest.raises(NetworkError) as caught:
        client.head_object("bucket", "key", timeout=20)

    assert str(http_port) in caught.value.message
