"""Several gateways over one store are one service: none of them knows anything that the others do not."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import AlreadyExistsError, PreconditionFailedError
from actorc.storage.rules import MiB

pytestmark = pytest.mark.slow

PATIENCE = 60


@pytest.fixture
def gateways(start_gateway):
    return [start_gateway(), start_gateway()]


@pytest.fixture
def clients(gateways, connect):
    """One client of each gateway."""
    first, second = (connect(gateway.endpoint) for gateway in gateways)
    first.create_bucket("bucket")
    return first, second


def test_what_one_writes_the_other_reads_at_once(clients):
    for number in range(20):
        writer, reader = clients[number % 2], clients[1 - number % 2]
        data = os.urandom(64)
        put = writer.put_object("bucket", "key", data, metadata={"number": str(number)})

        assert reader.get_object("bucket", "key") == data
        assert reader.head_object("bucket", "key")["metadata"] == {"number": str(number)}
        assert reader.head_object("bucket", "key")["generation"] == put["generation"]
        assert [found["etag"] for found in reader.list_objects("bucket")["objects"]] == [put["etag"]]


def test_what_one_deletes_is_gone_at_the_other_at_once(clients):
    first, second = clients
    for number in range(20):
        first.put_object("bucket", f"{number}", b"data")
        second.delete_object("bucket", f"{number}")

        assert not first.object_exists("bucket", f"{number}")
    assert first.list_objects("bucket")["objects"] == []


def test_buckets_come_and_go_for_both(clients):
    first, second = clients
    second.create_bucket("another")
    names = [bucket["name"] for bucket in first.list_buckets()]
    first.delete_bucket("another")

    assert names == ["another", "bucket"]
    assert not second.bucket_exists("another")


def test_an_upload_begun_at_one_takes_parts_at_both_and_is_completed_at_the_other(clients):
    first, second = clients
    pieces = [os.urandom(MiB + number) for number in range(4)]
    upload_id = first.create_multipart_upload("bucket", "key")["upload_id"]
    parts = [
        clients[number % 2].upload_part("bucket", "key", upload_id, number, data)
        for number, data in enumerate(pieces, 1)
    ]
    listed = first.list_parts("bucket", "key", upload_id)
    second.complete_multipart_upload("bucket", "key", upload_id, parts)

    assert parts == listed
    assert first.get_object("bucket", "key") == b"".join(pieces)
    assert first.list_multipart_uploads("bucket")["uploads"] == []


def test_of_sixteen_writers_at_both_that_race_for_a_free_key_one_wins(clients):
    def attempt(number):
        try:
            return clients[number % 2].put_object("bucket", "key", b"%d" % number, if_absent=True)["etag"]
        except AlreadyExistsError:
            return None

    with ThreadPoolExecutor(16) as threads:
        winners = [etag for etag in threads.map(attempt, range(16)) if etag]

    assert [clients[0].head_object("bucket", "key")["etag"]] == winners


def test_a_counter_loses_no_step_when_both_count(clients):
    clients[0].put_object("bucket", "counter", b"0")

    def count(number):
        client, steps = clients[number % 2], 0
        while steps < 5:
            etag = client.head_object("bucket", "counter")["etag"]
            try:
                value = int(client.get_object("bucket", "counter", if_match=etag))
                client.put_object("bucket", "counter", b"%d" % (value + 1), if_match=etag)
            except PreconditionFailedError:
                continue
            steps += 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))

    assert clients[0].get_object("bucket", "counter") == b"20"


def test_clients_finish_through_the_other_gateway_when_one_is_killed_under_load(gateways, clients, connect):
    both = connect(",".join(gateway.endpoint for gateway in gateways))
    under_way = threading.Semaphore(0)

    def work(number):
        data = os.urandom((4 << 10) if number % 8 else 3 * MiB)
        both.put_object("bucket", f"{number:03}", data, if_absent=True)
        under_way.release()
        return hashlib.sha256(data).digest(), hashlib.sha256(both.get_object("bucket", f"{number:03}")).digest()

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(work, number) for number in range(160)]
        for _ in range(40):
            assert under_way.acquire(timeout=PATIENCE)
        gateways[0].kill()
        results = [each.result(PATIENCE) for each in running]

    stored = [hashlib.sha256(clients[1].get_object("bucket", f"{number:03}")).digest() for number in range(160)]
    assert [(digest, digest) for digest in stored] == results


def test_a_transfer_goes_on_through_the_other_gateway(gateways, clients, connect, tmp_path):
    both = connect(",".join(gateway.endpoint for gateway in gateways))
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(48 * MiB))
    begun = threading.Event()

    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(both.upload_file, "bucket", "key", str(source), progress=lambda *_: begun.set())
        assert begun.wait(PATIENCE)
        gateways[0].kill()
        sent.result(PATIENCE)
    both.download_file("bucket", "key", str(target))

    assert source.read_bytes() == target.read_bytes()


def test_a_stream_that_breaks_is_read_on_at_the_other_gateway(gateways, clients, connect):
    data = os.urandom(32 * MiB)
    clients[0].upload_from_stream("bucket", "key", [data])
    reader = connect(",".join(gateway.endpoint for gateway in gateways)).stream_object("bucket", "key")

    got = [next(reader)]
    gateways[0].kill()
    got += reader

    assert b"".join(got) == data


def test_a_gateway_may_be_several_processes(start_gateway, clients, connect):
    gateway = start_gateway("--workers", "2", "--http", "off")
    many = [connect(gateway.endpoint) for _ in range(8)]

    for number, client in enumerate(many):
        client.put_object("bucket", f"{number}", b"%d" % number)
    code = gateway.close()

    assert [clients[1].get_object("bucket", f"{number}") for number in range(8)] == [b"%d" % n for n in range(8)]
    assert code == 0
