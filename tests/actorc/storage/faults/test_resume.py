"""Large files over networks that break and processes that are killed: what is there is not sent again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import NetworkError, RetryPolicy, StorageClient
from actorc.storage.testing import WireFault

pytestmark = pytest.mark.slow

MiB = 1 << 20
SIZE = 64 * MiB + 4321
"""Just large enough to be moved in parts."""
STEP = 4 * MiB
"""Bytes of a step in the journal of a download; the last one has fewer."""
OVERHEAD = 2 * MiB
"""Bytes of everything that is not content."""

# eight parts of 5 MiB, and two whose answers are awaited, are under way at most: by then, some are stored
KILLED = """
import os, signal, sys
from actorc.storage import StorageClient

def die(done, total):
    if done > 60 << 20:
        os.kill(os.getpid(), signal.SIGKILL)

getattr(StorageClient(sys.argv[1]), sys.argv[2])("bucket", "key", sys.argv[3], progress=die)
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        # holes, and in every MiB a number that tells it from the others
        for number in range(SIZE // MiB):
            file.seek(number * MiB)
            file.write(number.to_bytes(8, "big"))
        file.seek(SIZE // MiB * MiB)
        file.write(os.urandom(SIZE % MiB))
    return path


@pytest.fixture
def patient(proxy):
    """A client that takes a slow machine for no broken network, where what is sent is counted."""
    with StorageClient(proxy.endpoint) as it:
        yield it


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "target"
    path.mkdir()
    return path


def kill_in(method, proxy, path):
    """Run one transfer in a process that is killed in the middle of it."""
    child = subprocess.run([sys.executable, "-c", KILLED, proxy.endpoint, method, str(path)], check=False)
    proxy.sent_up = proxy.sent_down = 0

    assert child.returncode == -signal.SIGKILL


def names(folder):
    return [found.name for found in folder.iterdir()]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "storage-part"]


def test_an_upload_goes_on_after_its_process_was_killed_and_only_a_harmed_part_is_sent_anew(
    proxy, patient, direct, source
):
    kill_in("upload_file", proxy, source)
    [upload] = direct.list_multipart_uploads("bucket")["uploads"]
    harmed, *kept = direct.list_parts("bucket", "key", upload["upload_id"])
    direct.upload_part("bucket", "key", upload["upload_id"], harmed["part_number"], bytes(harmed["size"]))
    stored = sum(part["size"] for part in kept)
    steps = []
    patient.upload_file("bucket", "key", source, progress=lambda *step: steps.append(step))

    assert stored >= 5 * MiB
    # one more part may have been stored since, if all of it had arrived before the process was killed
    assert harmed["size"] <= proxy.sent_up < SIZE - stored + OVERHEAD
    assert direct.get_object("bucket", "key") == source.read_bytes()
    assert (steps, steps[-1]) == (sorted(steps), (SIZE, SIZE))
    assert direct.list_multipart_uploads("bucket")["uploads"] == []


@pytest.mark.thorough
def test_a_file_that_changed_since_is_sent_anew(proxy, client, direct, source):
    kill_in("upload_file", proxy, source)
    with source.open("r+b") as file:
        file.write(b"changed")
    client.upload_file("bucket", "key", source)

    assert proxy.sent_up > SIZE
    assert direct.get_object("bucket", "key") == source.read_bytes()


@pytest.mark.thorough
def test_an_upload_the_server_forgot_begins_anew(proxy, client, direct, source):
    kill_in("upload_file", proxy, source)
    [upload] = direct.list_multipart_uploads("bucket")["uploads"]
    direct.abort_multipart_upload("bucket", "key", upload["upload_id"])
    client.upload_file("bucket", "key", source)

    assert direct.get_object("bucket", "key") == source.read_bytes()


def test_a_download_goes_on_after_its_process_was_killed(proxy, patient, direct, source, folder):
    direct.upload_file("bucket", "key", source)
    kill_in("download_file", proxy, folder / "out")
    [journal] = folder.glob(".download-*.journal")
    begun = [int(line.split()[0]) * STEP for line in journal.read_text().splitlines()[1:]]
    there = sum(min(STEP, SIZE - start) for start in begun)
    steps = []
    patient.download_file("bucket", "key", folder / "out", progress=lambda *step: steps.append(step))

    assert there >= 16 * MiB
    # Nothing that is there is asked for. Where a stream gave the end of its steps to another one, both may have brought
    # them: the first had asked for all, and its window was on the way. So what is missing comes twice at most.
    assert proxy.sent_down < 2 * (SIZE - there) + OVERHEAD
    assert (folder / "out").read_bytes() == source.read_bytes()
    assert (steps, steps[-1]) == (sorted(steps), (SIZE, SIZE))
    assert names(folder) == ["out"]


@pytest.mark.thorough
def test_a_download_of_what_was_replaced_since_begins_anew(proxy, client, direct, source, folder):
    direct.upload_file("bucket", "key", source)
    kill_in("download_file", proxy, folder / "out")
    content = bytes(SIZE)
    direct.put_object("bucket", "key", content)
    client.download_file("bucket", "key", folder / "out")

    assert (folder / "out").read_bytes() == content
    assert names(folder) == ["out"]


@pytest.mark.thorough
@pytest.mark.parametrize("after", [MiB, 5 * MiB, 12 * MiB])
def test_parallel_parts_survive_broken_connections(proxy, client, direct, source, folder, after):
    proxy.plan = [(WireFault("cut", after), None) for _ in range(6)]
    client.upload_file("bucket", "key", source)
    proxy.drop_all()
    proxy.plan = [(None, WireFault("cut", after)) for _ in range(6)]
    client.download_file("bucket", "key", folder / "out")

    assert (folder / "out").read_bytes() == source.read_bytes()
    assert proxy.connections > 4
    assert names(folder) == ["out"]


@pytest.mark.thorough
def test_a_flipped_bit_among_parallel_parts_is_mended(proxy, client, direct, source, folder):
    proxy.plan = [(WireFault("flip", 9 * MiB), WireFault("flip", 9 * MiB)) for _ in range(2)]
    client.upload_file("bucket", "key", source)
    client.download_file("bucket", "key", folder / "out")

    assert direct.get_object("bucket", "key") == source.read_bytes()
    assert (folder / "out").read_bytes() == source.read_bytes()


@pytest.mark.thorough
def test_a_network_that_stays_away_keeps_both_journals_for_the_next_call(proxy, patient, direct, source, folder):
    hasty = {"idle_timeout": 0.5, "retry": RetryPolicy(attempts=1)}
    proxy.plan = [(WireFault("cut", 12 * MiB), None) for _ in range(4)]
    with StorageClient(proxy.endpoint, **hasty) as first, pytest.raises(NetworkError):
        first.upload_file("bucket", "key", source)
    proxy.sent_up = 0
    patient.upload_file("bucket", "key", source)
    proxy.drop_all()
    # The first lives until its stream has a whole step, and all together do not bring the file.
    proxy.plan = [(None, WireFault("cut", limit * MiB)) for limit in (20, 12, 12, 12)]
    with StorageClient(proxy.endpoint, **hasty) as second, pytest.raises(NetworkError):
        second.download_file("bucket", "key", folder / "out")
    # What the broken connections still bring is not of the next call.
    proxy.plan = []
    proxy.drop_all()
    proxy.sent_down = 0
    patient.download_file("bucket", "key", folder / "out")

    assert proxy.sent_up < SIZE - 8 * MiB
    assert proxy.sent_down < SIZE
    assert (folder / "out").read_bytes() == source.read_bytes()
    assert names(folder) == ["out"]


@pytest.mark.parametrize("method", ["upload_file", "download_file"])
def test_ctrl_c_ends_a_transfer_that_stands_still(proxy, direct, source, folder, method):
    moved, interrupted = threading.Event(), threading.Event()

    def interrupt(signum, frame):
        interrupted.set()
        raise KeyboardInterrupt

    direct.put_object("bucket", "key", bytes(SIZE))
    paths = {"upload_file": source, "download_file": folder / "out"}
    faults = [WireFault("stall", 2 * MiB) for _ in range(8)]
    proxy.plan = [(each, each) for each in faults]

    def interrupt_once_it_stands_still():
        # nothing moves, so the one stream that it begins with gets no company
        still = faults[0].wait_until_struck(20) and moved.wait(20)
        os.kill(os.getpid(), signal.SIGUSR1)
        # Python handles a signal that comes just before the main thread begins to wait once that has waited
        while not interrupted.wait(1):
            os.kill(os.getpid(), signal.SIGUSR1)
        return still

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with StorageClient(proxy.endpoint) as patient, ThreadPoolExecutor(1) as thread:
            still = thread.submit(interrupt_once_it_stands_still)
            with pytest.raises(KeyboardInterrupt):
                getattr(patient, method)("bucket", "key", paths[method], progress=lambda *_: moved.set())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert still.result()
    assert threads() == []
    assert names(folder) == []


@pytest.mark.thorough
def test_two_processes_download_to_one_file(direct, source, folder):
    direct.upload_file("bucket", "key", source)
    code = "import sys; from actorc.storage import StorageClient as S; S(sys.argv[1]).download_file(*sys.argv[2:], 1)"
    command = [sys.executable, "-c", code, direct.endpoint, "bucket", "key", str(folder / "out")]
    children = [subprocess.Popen(command) for _ in range(2)]
    codes = [child.wait() for child in children]

    assert codes == [0, 0]
    assert (folder / "out").read_bytes() == source.read_bytes()
    assert names(folder) == ["out"]
