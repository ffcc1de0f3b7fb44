"""Makes the data directories of a release, with content of every kind, and what later versions must find in them.

    python tests/upgrade/release_data.py tests/upgrade/data/0.1.0.tar.xz

The archive of a version that was published is never made anew: it is what its users have. It has two directories:
``closed``, whose server was stopped, and ``killed``, whose server was not.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from actorc.storage import StorageClient, to_json
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key, disable_key
from lucas_storage.local_service.service import LocalService

WORKFLOW = Path(__file__).with_name("release_workflow.py")
_LEFT_OUT = ("*.log", "endpoint.json", ".*.lock", "LOCK")


def make(archive: Path) -> None:
    """Make the archive."""
    with tempfile.TemporaryDirectory() as folder:
        data, killed = Path(folder, "closed"), Path(folder, "killed")
        expected = {"made_at": time.time(), "workflow": run_workflow(data, "first")}
        with LocalService(data) as service, service.client() as client:
            expected |= fill(client)
            shutil.copytree(data, killed, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        expected["keys"] = {each.name: add_keys(each) for each in (data, killed)}
        (Path(folder) / "expected.json").write_text(json.dumps(expected, indent=1, default=to_json))
        with tarfile.open(archive, "w:xz") as file:
            for path in (Path(folder) / "expected.json", data, killed):
                file.add(path, path.name, filter=_kept)


def run_workflow(data: Path, how: str) -> dict:
    """Run the workflow with the server of a data directory; return what it printed."""
    # a copy, so that records name no folder of the machine that made them
    script = shutil.copy(WORKFLOW, data.parent)
    command = [sys.executable, "-m", "lucas_storage.cli", "run", "--data", data.name, Path(script).name, how]
    printed = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def fill(client: StorageClient) -> dict:
    """Store objects of every kind; return a description of each, and of the upload that is under way."""
    client.create_bucket("bucket")
    client.create_bucket("empty")
    client.put_object("bucket", "small", b"data", content_type="text/plain", metadata={"colour": "grün"})
    client.put_object("bucket", "nothing", b"")
    client.put_object("bucket", "replaced", b"o" * 30_000)
    client.put_object("bucket", "replaced", b"n" * 40_000)
    client.put_object("bucket", "expiring", b"later", ttl=100 * 365 * 24 * 3600)
    client.put_object("bucket", "ordner/größe ☃", b"name")
    client.put_object("bucket", "deleted", b"d" * 20_000)
    client.delete_object("bucket", "deleted")
    client.copy_object("bucket", "replaced", "bucket", "copy")
    joined = client.create_multipart_upload("bucket", "joined", metadata={"made": "of parts"})["upload_id"]
    parts = [client.upload_part("bucket", "joined", joined, 1, b"p" * (5 << 20))]
    parts += [client.upload_part("bucket", "joined", joined, 2, b"q" * 30)]
    client.complete_multipart_upload("bucket", "joined", joined, parts)
    upload = client.create_multipart_upload("bucket", "under way", content_type="text/plain")["upload_id"]
    part = client.upload_part("bucket", "under way", upload, 1, b"u" * 20_000)
    return {"objects": described(client), "upload": {"upload_id": upload, "part": dict(part)}}


def described(client: StorageClient) -> dict:
    """Return everything that users see of the objects, by bucket and key; of bytes their digest."""
    return {
        bucket["name"]: {
            info["key"]: {
                **{name: info[name] for name in ("size", "etag")},
                **{
                    name: client.head_object(bucket["name"], info["key"])[name] for name in ("content_type", "metadata")
                },
                "sha256": hashlib.sha256(client.get_object(bucket["name"], info["key"])).hexdigest(),
            }
            for info in client.iter_objects(bucket["name"])
        }
        for bucket in client.list_buckets()
    }


def add_keys(data: Path) -> dict:
    """Add a key that works and one that is disabled; return them with their secrets."""
    pairs = [add_key(data / "keys.json", [EVERYTHING], comment=text) for text in ("enabled", "disabled")]
    disable_key(data / "keys.json", pairs[1][0].id)
    return {key.comment: {"access_key": key.id, "secret_key": secret} for key, secret in pairs}


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return None if any(Path(entry.name).match(pattern) for pattern in _LEFT_OUT) else entry


if __name__ == "__main__":
    make(Path(sys.argv[1]))
