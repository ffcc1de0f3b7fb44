"""``/metrics`` tells how much each bucket has, names no more buckets than it may, and tells of disk and server."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.request import urlopen

import pytest
import trustme

from actorc.storage import InvalidParameterError, StorageClient
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.server.engines.bucket_totals import BucketTotal
from actorc.storage.server.telemetry.certificates import end_of_certificate
from actorc.storage.testing import local_server

pytest.importorskip("prometheus_client", reason="there are metrics only with the extra http")
pytest.importorskip("aiohttp", reason="there are metrics only with the extra http")

from actorc.storage.server.telemetry.store_metrics import OTHERS, largest


@pytest.fixture
def numbers(ask):
    """Return the numbers of the page of a server by name and labels."""

    def of(server):
        page = ask(server.http_endpoint + "/metrics").body.decode()
        return {name: float(value) for name, value in re.findall(r"^(storage_\S+) (\S+)$", page, re.MULTILINE)}

    return of


@pytest.fixture
def durable(tmp_path):
    @contextmanager
    def served(**options):
        made = ServerOptions(
            data=tmp_path / "data",
            listen="127.0.0.1:0",
            http="127.0.0.1:0",
            grace=0.0,
            auto_create_buckets=True,
            **options,
        )
        with StorageServer(made) as server:
            yield server

    return served


def named(numbers):
    """Return objects and bytes of each bucket that is named."""
    sizes = {re.search('"(.*)"', name)[1]: value for name, value in numbers.items() if "bucket_bytes" in name}
    return {bucket: (numbers[f'storage_bucket_objects{{bucket="{bucket}"}}'], sizes[bucket]) for bucket in sizes}


def test_objects_and_bytes_of_each_bucket_are_told_after_each_change(durable, numbers):
    with durable() as server, StorageClient(server.address) as client:
        client.put_object("large", "key", bytes(3000))
        client.put_object("small", "key", b"12345")
        client.create_bucket("empty")
        assert named(numbers(server)) == {
            "large": (1, 3000),
            "small": (1, 5),
            "empty": (0, 0),
            OTHERS: (0, 0),
        }

        client.delete_object("large", "key")

        told = numbers(server)
        assert (named(told)["large"], told["storage_buckets"]) == ((0, 0), 3)


def test_the_largest_buckets_are_named_and_the_others_are_one(durable, numbers):
    with durable(metrics_buckets=2) as server, StorageClient(server.address) as client:
        for number in range(1, 6):
            client.put_object(f"bucket-{number}", "key", bytes(number * 10))
        told = numbers(server)

    assert named(told) == {"bucket-5": (1, 50), "bucket-4": (1, 40), OTHERS: (3, 60)}
    assert told["storage_buckets"] == 5


def test_a_server_with_keys_names_no_bucket_on_a_page_that_needs_none(durable, numbers, tmp_path):
    with durable() as server:
        with StorageClient(server.address) as client:
            client.put_object("secret-project", "key", b"12345")
        assert "secret-project" in named(numbers(server))
        add_key(tmp_path / "data" / "keys.json", [EVERYTHING])

        assert named(numbers(server)) == {OTHERS: (1, 5)}


def test_a_server_with_keys_names_buckets_if_it_is_told_to(durable, numbers, tmp_path):
    (tmp_path / "data").mkdir()
    key, secret = add_key(tmp_path / "keys.json", [EVERYTHING])
    with durable(metrics_buckets=1, keys=tmp_path / "keys.json") as server:
        with StorageClient(server.address, access_key=key.id, secret_key=secret) as client:
            client.put_object("project", "key", b"12345")

        assert named(numbers(server)) == {"project": (1, 5), OTHERS: (0, 0)}


def test_an_engine_that_counts_nothing_tells_of_no_bucket(numbers):
    with local_server(http=True) as server, server.client() as client:
        client.put_object("bucket", "key", b"12345")
        told = numbers(server)

    assert not [name for name in told if "bucket" in name and "call" not in name]
    assert told['storage_build_info{engine="memory",version="0.1.0"}'] == 1


def test_disk_threads_and_memory_are_told(durable, numbers):
    with durable(threads=32) as server:
        told = numbers(server)

    assert 0 < told["storage_disk_free_bytes"] <= told["storage_disk_size_bytes"]
    assert (told["storage_call_threads"], told["storage_calls_running"]) == (32, 0)
    assert (told["storage_damage_found"], told["storage_worker_restarts_total"]) == (0, 0)
    assert told["storage_resident_memory_bytes"] > 1_000_000


@pytest.mark.parametrize("end", [datetime(2041, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2061, 2, 3, 4, 5, 6, tzinfo=UTC)])
def test_the_end_of_the_certificate_is_told(durable, tmp_path, end):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", not_after=end)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (tmp_path / "cert.pem").write_bytes(certificate.private_key_pem.bytes() + chain)
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())

    with durable(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem") as server:
        page = urlopen(server.http_endpoint + "/metrics", context=trusting).read().decode()

    (told,) = re.findall(r"^storage_certificate_end_timestamp_seconds (\S+)$", page, re.MULTILINE)
    assert float(told) == end.timestamp()


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_that_can_be_read_is_told(pem):
    with pytest.raises(ValueError, match="certificate"):
        end_of_certificate(pem)


def test_a_store_that_cannot_be_read_leaves_the_other_numbers(durable, numbers, tmp_path):
    with durable() as server:
        (tmp_path / "data").rename(tmp_path / "gone")
        told = numbers(server)
        (tmp_path / "gone").rename(tmp_path / "data")

    assert told["storage_engine_healthy"] in {0, 1}
    assert "storage_disk_free_bytes" not in told


def test_the_named_buckets_and_the_others_have_together_what_all_have():
    totals = [BucketTotal(f"bucket-{number}", number % 7, number * 37 % 11) for number in range(100)]

    for count in (0, 1, 20, 100, 1000):
        found = largest(totals, count)
        assert len(found) == min(count, 100) + 1
        assert sum(each.objects for each in found) == sum(each.objects for each in totals)
        assert sum(each.bytes for each in found) == sum(each.bytes for each in totals)


def test_a_negative_number_of_buckets_is_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match="metrics_buckets must not be negative"):
        ServerOptions(data=tmp_path, metrics_buckets=-1)
