"""The server under test: a process group of its own, on one port and one directory however often it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from actorc.storage import NetworkError, StorageClient

START_SECONDS = 60.0
COMMAND = (sys.executable, "-m", "lucas_storage.cli")


class Service:
    """Starts, kills, stops and inspects the server.

    Args:
        folder: Where its data directory and its log go.
        workers: How many processes serve.

    Attributes:
        endpoint: Its address.
        keys: Access key and secret key of a key that may do everything.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self.data = folder / "data"
        self._log_path = folder / "server.log"
        self._log = self._log_path.open("ab")
        self._workers = workers
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        made = json.loads(self._ask("keys", "add", "--data", str(self.data), "--admin", "--json"))
        self.keys = made["access_key"], made["secret_key"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers."""
        place = ("--data", str(self.data), "--listen", self.endpoint, "--http", "off")
        self._process = subprocess.Popen(
            [*COMMAND, "serve", *place, "--auto-create-buckets", "--workers", str(self._workers)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server did not start; its log has the reason")
            time.sleep(0.05)

    def client(self) -> StorageClient:
        """Return a new client of it."""
        access_key, secret_key = self.keys
        return StorageClient(self.endpoint, access_key, secret_key, timeout=60)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                client.server_info(timeout=5)
            except NetworkError:
                return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to all its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End all its processes at once."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """End it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def terminate(self) -> None:
        """Ask it to end, and wait for that."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def fsck(self) -> str:
        """Return the output of ``lucas-storage fsck`` for the directory, while nothing serves it."""
        return self._ask("fsck", str(self.data))

    def size(self) -> tuple[int, int]:
        """Return files and bytes of the data directory."""
        files = [path.stat().st_size for path in self.data.rglob("*") if path.is_file()]
        return len(files), sum(files)

    def errors(self) -> list[str]:
        """Return the lines of its log about defects."""
        lines = self._log_path.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or "Traceback" in line]

    @staticmethod
    def _ask(*arguments: str) -> str:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr if done.returncode and not done.stdout else done.stdout
