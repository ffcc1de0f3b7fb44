"""A client generated from the .proto alone can use the service; nothing of ours is in its process."""

from __future__ import annotations

import subprocess
import sys
import venv
from contextlib import contextmanager
from pathlib import Path

import pytest

from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("foreign_client.py")
GENERATOR = "grpcio-tools==1.76.0"
SERVER = """
import pathlib, sys
from actorc.storage.testing import local_server
keys = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
with local_server(sys.argv[1], auto_create_buckets=False, keys=keys) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """The Python of an environment that has gRPC and the generator, and not this project."""
    folder = tmp_path_factory.mktemp("stranger") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GENERATOR)
    return python


@pytest.fixture(scope="module")
def generated(tmp_path_factory, stranger):
    folder = tmp_path_factory.mktemp("generated")
    protoc = (stranger, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}")
    run(*protoc, f"--python_out={folder}", f"--grpc_python_out={folder}", "ignis/storage/v1/storage.proto")
    return folder


@contextmanager
def served(tmp_path, *keys):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, (tmp_path / "data").as_uri(), *keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.mark.thorough
def test_a_client_made_of_the_proto_alone_can_use_the_service(tmp_path, stranger, generated):
    with served(tmp_path) as address:
        said = run(stranger, "-I", CLIENT, generated, address)

    assert said == "done\n"


@pytest.mark.thorough
@pytest.mark.parametrize("hashed", ["1", "0"])
def test_it_can_sign_its_calls_with_or_without_their_hash(tmp_path, stranger, generated, hashed):
    key, secret = add_key(tmp_path / "keys.json", [EVERYTHING])
    with served(tmp_path, tmp_path / "keys.json") as address:
        said = run(stranger, "-I", CLIENT, generated, address, key.id, secret, hashed)

    assert said == "done\n"
