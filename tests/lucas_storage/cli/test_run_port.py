"""Where `run` serves, since the scripts of the specification name ``localhost:9000``; here with another number."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.slow

PUTTING = """
import os, sys
from actorc.storage import StorageClient

with StorageClient(endpoint=sys.argv[1]) as client:
    client.put_object(bucket="my-bucket", key="data/content.txt", data=b"Hello, Storage!")
print(os.environ["STORAGE_ENDPOINT"], StorageClient().get_object("my-bucket", "data/content.txt").decode())
"""
HOLDING = """
import sys
from actorc.storage import StorageClient
print(StorageClient().endpoint, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(lucas_storage, free_port):
    lucas_storage.script(PUTTING)
    lucas_storage.script(HOLDING, "holding.py")

    def start(*arguments, port=free_port, how=lucas_storage.run):
        return how("run", *arguments, env={"LUCAS_STORAGE_RUN_PORT": str(port)})

    return start


@pytest.mark.thorough
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_script_that_names_the_port_reaches_its_server(run, free_port, host):
    ran = run("script.py", f"{host}:{free_port}")

    assert ran.stdout == f"127.0.0.1:{free_port} Hello, Storage!\n", ran.stderr
    assert ran.stderr == ""


@pytest.mark.thorough
def test_whoever_joins_that_server_names_it_as_well(run, free_port, lucas_storage):
    first = run("holding.py", how=lucas_storage.start)
    endpoint = first.stdout.readline().strip()
    ran = run("script.py", f"localhost:{free_port}")
    first.communicate("")

    assert endpoint == f"127.0.0.1:{free_port}"
    assert (ran.stdout, ran.stderr) == (f"{endpoint} Hello, Storage!\n", "")


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), pytest.param(socket.AF_INET6, "::1", marks=pytest.mark.thorough)],
)
def test_if_somebody_has_the_port_one_line_says_so_and_the_server_is_elsewhere(run, lucas_storage, family, host):
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        lucas_storage.script("from actorc.storage import StorageClient; print(StorageClient().endpoint)")
        ran = run("script.py", port=port)

    assert ran.stdout.strip() not in {"", f"127.0.0.1:{port}"}, ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert f"another program listens on localhost:{port}" in ran.stderr
    assert ran.stdout.strip() in ran.stderr


@pytest.mark.thorough
def test_a_second_directory_is_told_of_the_first(run, lucas_storage, free_port):
    first = run("holding.py", how=lucas_storage.start)
    first.stdout.readline()
    lucas_storage.script("from actorc.storage import StorageClient; print(StorageClient().endpoint)")
    second = run("--data", "elsewhere", "script.py")
    first.communicate("")

    assert f"another program listens on localhost:{free_port}" in second.stderr
    assert second.returncode == 0


@pytest.mark.thorough
def test_any_port_will_do_where_none_is_wanted(run, lucas_storage):
    lucas_storage.script("from actorc.storage import StorageClient; print(StorageClient().endpoint)")
    ran = run("script.py", port=0)

    assert ran.stderr == ""
    assert ran.stdout.startswith("127.0.0.1:")


def test_a_port_that_is_none_is_refused_by_name(invoke, monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_ENDPOINT")
    monkeypatch.setenv("LUCAS_STORAGE_RUN_PORT", "http")
    (tmp_path / "script.py").touch()

    assert "LUCAS_STORAGE_RUN_PORT" in invoke("run", "script.py").stderr
