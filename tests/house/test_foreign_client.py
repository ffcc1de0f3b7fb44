"""A client generated from the .proto alone can use the service; nothing of ours is in its process."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = "grpcio-tools==1.76.0"
SERVER = """
import sys
from actorc.storage.testing import local_server
with local_server(sys.argv[1], auto_create_buckets=False) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def stranger(tmp_path):
    """The Python of an environment that has gRPC and the generator, and not this project."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GENERATOR)
    return python


@pytest.fixture
def address(tmp_path):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, (tmp_path / "data").as_uri()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.mark.thorough
def test_a_client_made_of_the_proto_alone_can_use_the_service(tmp_path, stranger, address):
    generated = tmp_path / "generated"
    generated.mkdir()
    protoc = (stranger, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}")
    run(*protoc, f"--python_out={generated}", f"--grpc_python_out={generated}", "ignis/storage/v1/storage.proto")

    said = run(stranger, "-I", Path(__file__).with_name("foreign_client.py"), generated, address)

    assert said == "done\n"
