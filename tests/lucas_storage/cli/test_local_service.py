from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from actorc.storage import StorageError
from actorc.storage.server.engines import open_engine
from actorc.storage.testing import local_server
from lucas_storage.local_service.service import DEFAULT_DATA, LocalService

pytestmark = pytest.mark.slow

USER = """
import sys
from pathlib import Path
from lucas_storage.local_service.service import LocalService
service = LocalService(Path(sys.argv[1]))
print(service.endpoint, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path, wait_for_the_end):
    path = tmp_path / "data"
    yield path
    if path.is_dir():
        wait_for_the_end(path)


@pytest.fixture
def another_user(data):
    """Start a process that uses the service until it is killed or its standard input ends."""
    processes = []

    def start():
        command = [sys.executable, "-c", USER, str(data)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_two_users_share_one_server(served):
    with LocalService(served / DEFAULT_DATA) as one, LocalService(served / DEFAULT_DATA) as other:
        with one.client() as client:
            client.put_object("my-bucket", "key", b"value")
        with other.client() as client:
            value = client.get_object("my-bucket", "key")

        assert one.endpoint == other.endpoint

    assert value == b"value"


def test_the_server_lives_as_long_as_one_user_does(data, wait_for_the_end):
    one, other = LocalService(data), LocalService(data)
    one.close()
    with other.client() as client:
        client.create_bucket("my-bucket")
    other.close()
    wait_for_the_end(data)

    assert not (data / "endpoint.json").exists()


def test_the_server_stays_until_the_urls_that_it_made_have_expired(data, wait_for_the_end):
    with LocalService(data) as service, service.client() as client:
        client.put_object("my-bucket", "key", b"value")
        link = client.presign_url("my-bucket", "key", expires=3)
        short = client.presign_url("my-bucket", "key", expires=1)
    expires_at = int(parse_qs(urlsplit(link).query)["acs-exp"][0])
    with urlopen(link, timeout=20) as answer:
        assert answer.read() == b"value"
    # a server that waits for the end of a URL is joined as any other
    with LocalService(data) as again, again.client() as client:
        assert client.get_object("my-bucket", "key") == b"value"
        assert client.presign_url("my-bucket", "key", expires=1).partition("/o/")[0] == short.partition("/o/")[0]
    wait_for_the_end(data)

    assert time.time() >= expires_at


@pytest.fixture(scope="module")
def restarted(tmp_path_factory):
    """The signing key of two services of one directory, one after the other, and what the second has of the first."""
    data = tmp_path_factory.mktemp("restarted")
    with LocalService(data) as service, service.client() as client:
        client.put_object("my-bucket", "key", b"value")
        first = service.signing_key_file.read_text()
    with LocalService(data) as service, service.client() as client:
        return first, service.signing_key_file.read_text(), client.get_object("my-bucket", "key")


def test_what_was_stored_is_there_the_next_time(restarted):
    assert restarted[2] == b"value"


def test_processes_that_start_together_share_one_server(another_user):
    users = [another_user() for _ in range(3)]

    endpoints = {user.stdout.readline().strip() for user in users}

    assert len(endpoints) == 1
    assert all(endpoints)


def test_the_server_does_not_outlive_a_killed_user(data, another_user, wait_for_the_end):
    user = another_user()
    host, _, port = user.stdout.readline().strip().rpartition(":")
    user.kill()
    wait_for_the_end(data)

    assert not (data / "endpoint.json").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_killed_server_is_replaced(data, wait_for_the_end):
    with LocalService(data) as service, service.client() as client:
        client.put_object("my-bucket", "key", b"value")
        os.kill(json.loads((data / "endpoint.json").read_text())["pid"], signal.SIGKILL)
        wait_for_the_end(data)
        stale = (data / "endpoint.json").exists()
        with LocalService(data) as next_service, next_service.client() as next_client:
            value = next_client.get_object("my-bucket", "key")

    assert stale
    assert value == b"value"


def test_a_left_over_address_where_another_server_listens_is_not_used(data):
    data.mkdir()
    with local_server() as stranger:
        (data / "endpoint.json").write_text(json.dumps({"endpoint": stranger.endpoint, "pid": os.getpid()}))
        with LocalService(data) as service:
            assert service.endpoint != stranger.endpoint


def test_the_signing_key_is_made_once(restarted):
    first, second, _ = restarted

    assert first == second
    assert len(first.strip()) >= 32


def test_only_its_owner_may_read_a_data_directory(served):
    data = served / DEFAULT_DATA
    with LocalService(data) as service:
        secrets = [service.signing_key_file, data / "endpoint.json", data / "server.log"]

        assert {0o600} == {mode(path) for path in secrets}
        assert mode(data) == 0o700
        assert (data / ".gitignore").read_text() == "*\n"


def test_a_server_that_cannot_start_is_explained(data):
    data.mkdir()
    (data / "FORMAT").write_text('{"format": 99, "store": "later"}')

    with pytest.raises(StorageError, match=r"ended with exit code 2 .*\n.*has data format 99 and this server knows"):
        LocalService(data)


def test_a_directory_that_another_server_serves_is_not_served_twice(data):
    engine = open_engine(data.as_uri())
    try:
        with pytest.raises(StorageError, match=f"in use by process {os.getpid()}"):
            LocalService(data)
    finally:
        engine.close()
