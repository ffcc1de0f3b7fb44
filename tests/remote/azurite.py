"""Run a command over an Azure store on loopback: Azurite, Microsoft's own emulator, which npm installs.

    python tests/remote/azurite.py COMMAND…

The command finds an empty container in LUCAS_STORAGE_TEST_AZURE, and its credentials as Azure's own programs take
them. AZURITE names an installed `azurite-blob`; else npm fetches one into the cache of the user, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of that account; the same in every Azurite, and no secret."""
PROTOCOL = "2021-08-06"
STARTED = 60
"""Seconds until it must have started."""
LISTENING = "successfully listens on http://127.0.0.1:"


def installed() -> str:
    """Return the path of Azurite, which is fetched if need be."""
    if "AZURITE" in os.environ:
        return os.environ["AZURITE"]
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("[azurite] there is no npm, which fetches it")
    folder = Path(
        os.environ.get("XDG_CACHE_HOME", "~/.cache"), "lucas-storage-tests", f"azurite-{VERSION}"
    ).expanduser()
    program = folder / "node_modules/.bin/azurite-blob"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), f"azurite@{VERSION}"]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            sys.exit("[azurite] npm cannot fetch it")
    return str(program)


@contextmanager
def running(program: str, folder: str):
    """Yield the address of an Azurite that keeps its data in a folder; it ends with the block."""
    command = [program, "--location", folder, "--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry"]
    said = Path(folder, "said.txt")
    with said.open("w") as file, subprocess.Popen(command, stdout=file, cwd=folder) as azurite:
        try:
            deadline = time.monotonic() + STARTED
            while LISTENING not in said.read_text():
                if azurite.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"[azurite] it did not start: {said.read_text()}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{said.read_text().partition(LISTENING)[2].split()[0]}/{ACCOUNT}"
        finally:
            azurite.terminate()


def create_container(address: str, name: str) -> None:
    """Create a container by one request of Azure's protocol, signed with the key of the account."""
    date = formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": PROTOCOL}
    canonical = "".join(f"{header}:{value}\n" for header, value in headers.items())
    text = f"PUT{chr(10) * 12}{canonical}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}"}
    request = urllib.request.Request(f"{address}/{name}?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=30).close()


def main() -> int:
    """Run the command of the command line; return its exit code."""
    program = installed()
    with tempfile.TemporaryDirectory() as folder, running(program, folder) as address:
        container = f"tests-{uuid.uuid4().hex[:8]}"
        create_container(address, container)
        there = {
            "LUCAS_STORAGE_TEST_AZURE": f"az://{container}?endpoint={address}",
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        }
        return subprocess.run(sys.argv[1:], env={**os.environ, **there}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
