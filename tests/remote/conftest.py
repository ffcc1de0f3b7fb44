"""Fixtures of remote tests: gateways in processes of their own over a real store, and faults of the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl

import psutil
import pytest

from actorc.storage import StorageClient

SCRIPT = Path(__file__).with_name("ceph-rgw.sh")
if not os.environ.get("LUCAS_STORAGE_TEST_S3"):
    # one test tells why the others are not there
    collect_ignore_glob = ["test_[!g]*.py"]
PATIENCE = 30.0
ROOM = {"nearfull": ".95", "backfillfull": ".96", "full": ".97"}
FULL = {"nearfull": ".00001", "backfillfull": ".00002", "full": ".00003"}


class Gateway:
    """A server process over a store, started by the constructor; its output is kept."""

    def __init__(self, engine, listen="127.0.0.1:0", *options):
        command = [sys.executable, "-m", "actorc.storage.server", "--engine", engine, "--listen", listen]
        command += ["--http", "127.0.0.1:0", "--auto-create-buckets", *options]
        self.lines = []
        self._heard = threading.Condition()
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stderr:
            with self._heard:
                self.lines.append(line)
                self._heard.notify_all()
        with self._heard:
            self._reader = None
            self._heard.notify_all()

    def said(self, text, count=1):
        """Wait until so many lines of its output hold `text`; return the last of them."""

        def lines():
            return [line.rstrip() for line in self.lines if text in line]

        with self._heard:
            self._heard.wait_for(lambda: len(lines()) >= count or self._reader is None, PATIENCE)
            assert len(lines()) >= count, f"the gateway did not say {text!r} but {''.join(self.lines)}"
            return lines()[-1]

    @property
    def endpoint(self):
        return self.said("serving s3://").rpartition(" on ")[2]

    @contextmanager
    def memory_watched(self):
        """Yield a list whose one item, at the end, is the largest growth of its private memory in bytes."""
        grown, done = [], threading.Event()

        def memory():
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return int(status.partition("RssAnon:")[2].split()[0]) << 10

        def watch(before):
            most = before
            while not done.wait(0.005):
                most = max(most, memory())
            grown.append(most - before)

        thread = threading.Thread(target=watch, args=(memory(),))
        thread.start()
        try:
            yield grown
        finally:
            done.set()
            thread.join()

    @property
    def pid(self):
        return self._process.pid

    def send_signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)

    def wait(self):
        """Wait until it ends by itself; return its exit code, and its last line."""
        code = self._process.wait(PATIENCE)
        with self._heard:
            assert self._heard.wait_for(lambda: self._reader is None, PATIENCE)
        return code, self.lines[-1]

    def close(self):
        """End it, if it still runs; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        code, _ = self.wait()
        self._process.stderr.close()
        return code


class Ceph:
    """The store itself, where a test may break it: an instance of ``ceph-rgw.sh``.

    Each kind of trouble is there when its method returns, and gone when `heal` does.
    """

    def __init__(self, directory, bucket):
        self._directory = Path(directory)
        self._bucket = bucket
        self._troubled = False

    def kill_gateway(self):
        self._signal("rgw", signal.SIGKILL)

    def stop_gateway(self):
        self._signal("rgw", signal.SIGSTOP)

    def kill_storage(self):
        self._signal("osd", signal.SIGKILL)

    def stop_storage(self):
        self._signal("osd", signal.SIGSTOP)

    def pause_storage(self):
        self._troubled = True
        self._run("ceph", "osd", "pause")
        self._wait_for(self._reads, answered=False)

    def fill_disk(self):
        """Make the disk full with its present content."""
        self._troubled = True
        for name, ratio in FULL.items():
            self._run("ceph", "osd", f"set-{name}-ratio", ratio)
        self._wait_for(self._writes, answered=False)

    def heal(self):
        """Undo every fault."""
        if not self._troubled:
            return
        for name in ("rgw", "osd"):
            with suppress(psutil.NoSuchProcess):
                self._process(name).send_signal(signal.SIGCONT)
        self._run("ceph", "osd", "unpause")
        for name, ratio in reversed(ROOM.items()):
            self._run("ceph", "osd", f"set-{name}-ratio", ratio)
        self._run("start")
        self._wait_for(self._writes, answered=True)
        self._troubled = False

    def admin(self, *command):
        return self._run("admin", *command)

    def _process(self, name):
        return psutil.Process(int((self._directory / f"{name}.pid").read_text().split()[0]))

    def _run(self, *command):
        done = subprocess.run([SCRIPT, *command], capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _signal(self, name, number):
        self._troubled = True
        process = self._process(name)
        process.send_signal(number)
        if number == signal.SIGKILL:
            psutil.wait_procs([process], PATIENCE)
        self._wait_for(self._reads, answered=False)

    def _reads(self):
        with suppress(FileNotFoundError):
            self._bucket.head(uuid.uuid4().hex)

    def _writes(self):
        self._bucket.put("probe", b"")

    def _wait_for(self, call, *, answered):
        deadline = time.monotonic() + PATIENCE
        while is_answered(call) != answered:
            assert time.monotonic() < deadline, f"the store {'does not answer' if answered else 'still answers'}"


def is_answered(call):
    from obstore.exceptions import GenericError

    try:
        call()
    except GenericError:
        return False
    return True


@pytest.fixture
def ceph(real_store):
    """The store, for faults that are undone at the end."""
    directory = os.environ.get("CEPH_RGW_DIR")
    if not directory:
        pytest.skip("the store in LUCAS_STORAGE_TEST_S3 is not ours to break; 'make test-remote' starts one that is")
    from obstore.store import S3Store

    options = {"client_options": {"allow_http": True, "timeout": "1s"}, "retry_config": {"max_retries": 0}}
    ceph = Ceph(directory, S3Store(real_store.netloc, **dict(parse_qsl(real_store.query)), **options))
    yield ceph
    ceph.heal()


@pytest.fixture
def start_gateway(store_url):
    """Start a gateway to the prefix of this test; gateways that still run at the end are ended."""
    with ExitStack() as stack:

        def started(*options, listen="127.0.0.1:0", engine=store_url):
            gateway = Gateway(engine, listen, *options)
            stack.callback(gateway.close)
            return gateway

        yield started


@pytest.fixture
def gateway(start_gateway):
    return start_gateway()


@pytest.fixture
def connect():
    """Make clients of an endpoint, or of several."""
    with ExitStack() as stack:
        yield lambda endpoint, **options: stack.enter_context(StorageClient(endpoint, **options))


@pytest.fixture
def client(gateway, connect):
    client = connect(gateway.endpoint)
    client.create_bucket("bucket")
    return client
