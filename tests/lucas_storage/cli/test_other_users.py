"""What another user of the machine gets from a running 'lucas-storage run': nothing. Played by a child of root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user"),
]

SCRIPT = """
import json, os, sys
from actorc.controller.local import LocalController
from actorc.storage import StorageClient
from lucas_storage import Storage

with StorageClient() as client, LocalController() as controller:
    client.put_object("my-bucket", "key", b"mine" * 10_000)
    told = {name: os.environ[name] for name in ("STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY")}
    told |= {"app_id": controller.app_id, "controller": controller.address, "controller_pid": controller.pid}
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
    print(StorageClient(told["STORAGE_ENDPOINT"]).get_object("my-bucket", "key", length=4), flush=True)
    sys.stdin.readline()
"""

STRANGER = """
import json, os, socket, sys
from contextlib import suppress
from pathlib import Path
from actorc.controller.client.address import ControllerChoice
from actorc.controller.client.connection import Connection
from actorc.controller.errors import ControllerError
from actorc.storage import StorageClient, StorageError
from actorc.storage.local_server.local_endpoint import find

data, endpoint, controller, controller_pid = Path(sys.argv[1]), *sys.argv[2:5]
is_alive = sys.argv[5] == "alive"


def session(app_id):
    Connection(ControllerChoice(controller, app_id)).session()


if is_alive:
    with suppress(ControllerError):
        session("app")  # likewise
    for local in (None, False):  # over each transport: Python's own files may be out of the reach of others
        with StorageClient(endpoint, local=local) as client, suppress(StorageError):
            client.put_object("my-bucket", "key", b"")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.chdir(data.parent)


def tried(action):
    try:
        return repr(action())
    except Exception as error:
        return type(error).__name__


def listened(address):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        sock.listen()


client = StorageClient(endpoint, timeout=20.0) if is_alive else None
seen = {
    "read endpoint.json": tried((data / "endpoint.json").read_text),
    "look around": tried(lambda: os.listdir(data)),
    "read the index": tried((data / "meta" / "meta.db").read_bytes),
    "write": tried(lambda: (data / "planted").write_text("")),
    "find": tried(find),
    "listen": tried(lambda: listened(endpoint)),
    "listen as the controller": tried(lambda: listened(controller)),
}
if client is not None:
    seen |= {
        "get": tried(lambda: client.get_object("my-bucket", "key")),
        "put": tried(lambda: client.put_object("my-bucket", "key", b"forged")),
        "list": tried(client.list_buckets),
        "delete": tried(lambda: client.delete_object("my-bucket", "key")),
        "open a session": [tried(lambda: session(each)) for each in ("", "app", "app-", "app-" + "A" * 32)],
        "read what the controller was told": tried(lambda: os.listdir(f"/proc/{controller_pid}/fd")),
        "read its memory": tried(lambda: open(f"/proc/{controller_pid}/mem", "rb")),
    }
lines = []
for process in Path("/proc").glob("[0-9]*"):
    for name in ("cmdline", "environ"):
        try:
            lines.append((process / name).read_bytes().decode(errors="replace"))
        except OSError:
            pass
print(json.dumps({"seen": seen, "told to all": "".join(lines)}))
"""


@pytest.fixture
def folder():
    """A place that every user reaches, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="shared-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def running(folder, lucas_storage, wait_for_the_end):
    lucas_storage.folder = folder
    lucas_storage.script(SCRIPT)
    process = lucas_storage.start("run", "script.py")
    said = process.stdout.readline()
    assert said, process.stderr.read()
    yield process, json.loads(said)
    process.kill()
    process.wait()
    wait_for_the_end(folder / ".lucas-storage")


def stranger(folder, told, servers):
    """Return what another user gets, while both servers live or after both were killed."""
    places = (folder / ".lucas-storage", told["STORAGE_ENDPOINT"], told["controller"], told["controller_pid"])
    command = [sys.executable, "-c", STRANGER, *map(str, places), servers]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.thorough
def test_another_user_neither_reads_nor_writes_nor_takes_the_place_of_a_server_that_died(running, folder):
    process, told = running
    alive = stranger(folder, told, "alive")
    process.stdin.write("\n")
    process.stdin.flush()
    value = process.stdout.readline()
    os.kill(json.loads((folder / ".lucas-storage" / "endpoint.json").read_text())["pid"], signal.SIGKILL)
    os.kill(told["controller_pid"], signal.SIGKILL)
    dead = stranger(folder, told, "dead")
    secrets = [
        told["STORAGE_SECRET_KEY"],
        told["app_id"],
        (folder / ".lucas-storage" / ".signing.key").read_text().strip(),
    ]

    assert alive["seen"] == {
        "read endpoint.json": "PermissionError",
        "look around": "PermissionError",
        "read the index": "PermissionError",
        "write": "PermissionError",
        "find": "InvalidParameterError",
        "listen": "OSError",
        "listen as the controller": "OSError",
        "open a session": ["ControllerUnavailableError"] * 4,
        "read what the controller was told": "PermissionError",
        "read its memory": "PermissionError",
        **dict.fromkeys(["get", "put", "list", "delete"], "UnauthenticatedError"),
    }
    assert value == "b'mine'\n"
    assert (dead["seen"]["listen"], dead["seen"]["listen as the controller"]) == ("OSError", "OSError")
    assert "actorc.storage.server" in alive["told to all"]
    assert not [secret for secret in secrets if secret in alive["told to all"]]
