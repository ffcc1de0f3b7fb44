"""Fixtures of every test: an environment without the developer's settings, and the size of thorough tests."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import socket
import sys
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import hypothesis
import psutil
import pytest
from hypothesis import HealthCheck

pytest_plugins = ["tests.watchdog"]

REAL_STORE = "LUCAS_STORAGE_TEST_S3"
"""Names a bucket of a real S3 store, whose credentials are in the environment as the store's own programs take them."""

SLOW_WEIGHT = 20
"""As many quick tests take as long as one that is marked as slow."""

GOLDEN_RATIO = (1 + 5**0.5) / 2
"""Its multiples, less their whole part, are spread evenly, however many are taken."""

FULL_SIZE_SECONDS = 900
"""A test of the full size may take longer than the quick ones, which pyproject.toml limits."""

ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1
"""Parameters of glibc's mallopt, from its malloc.h."""

IN_MEMORY = Path("/dev/shm")
"""A file system that needs no disk; there the syncs of thousands of stores take no time."""

ROOM_IN_MEMORY = 4 << 30
"""As many bytes have to be free for the directories of the quick tests to be kept in memory."""

for _name in [name for name in os.environ if name.startswith(("STORAGE_", "LUCAS_STORAGE_"))]:
    if not _name.startswith("LUCAS_STORAGE_TEST_"):
        del os.environ[_name]
# Hundreds of processes of tests import this package; where none may keep what it compiled, each takes a second for it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# to look for cycles after each 700 allocations takes a tenth of the time of all tests
gc.set_threshold(50_000, 20, 20)
# servers of tests that run at the same time would have port 9000 by turns, and say so
os.environ["LUCAS_STORAGE_RUN_PORT"] = "0"
# a shell that runs the tests in the background has them ignore Ctrl-C, and with them the programs that they interrupt
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="run all tests but the ecosystem's, each at its full size")
    parser.addoption("--ecosystem", action="store_true", help="run the tests that need heavy libraries, too")
    parser.addoption("--browser", action="store_true", help="run the tests in a real browser, too")


def pytest_configure(config):
    # Slowness is no fault of a property. A test over a store asks for one, and starts each example in a fresh bucket.
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
    hypothesis.settings.register_profile("thorough", max_examples=100, **patient)
    hypothesis.settings.register_profile("quick", max_examples=10, **patient)
    hypothesis.settings.load_profile("thorough" if config.getoption("--thorough") else "quick")
    keep_freed_memory()
    # xdist would order files by their number of tests; see put_long_files_first
    config.option.loadscopereorder = False
    # Tests of the full size are on the disk: they are too large for memory, and a real file system is met that way.
    if not config.getoption("--thorough") and has_room_in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def keep_freed_memory():
    """Keep memory that was freed, in one place for all threads, where the allocator is glibc's.

    Transfers allocate and free some mebibytes for each chunk, on dozens of threads. Given back to the system, they are
    cleared and mapped anew page by page, which took a third of the system's time. Processes that tests start are as
    their users'.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(ARENAS, 1)
        for threshold in (MMAP_THRESHOLD, TRIM_THRESHOLD):
            mallopt(threshold, 1 << 30)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Start more processes than there are processors, as tests wait for deadlines and for processes of their own.

    Half as many more for the quick ones. Twice as many for those of the full size, which wait as long as they compute.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = os.cpu_count() or 1
    return 2 * processors if config.getoption("--thorough") else processors + processors // 2


def has_room_in_memory():
    if not IN_MEMORY.is_dir():
        return False
    return min(shutil.disk_usage(IN_MEMORY).free, psutil.virtual_memory().available) >= ROOM_IN_MEMORY


def pytest_collection_finish(session):
    # what was imported and collected is there until the end, and is not looked through again
    gc.collect()
    gc.freeze()


def pytest_itemcollected(item):
    if "thorough" in item.fixturenames or getattr(item.obj, "is_hypothesis_test", False):
        item.add_marker("sized")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(config, items):
    leave_most_to_the_slow_tests(items)
    for item in items if config.getoption("--thorough") or config.getoption("--ecosystem") else ():
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(FULL_SIZE_SECONDS))
    unasked = [marker for marker in ("thorough", "ecosystem", "browser") if not config.getoption(f"--{marker}")]
    left_out = {item for item in items if any(map(item.get_closest_marker, unasked))}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        put_long_files_first(items)


def leave_most_to_the_slow_tests(items):
    """Mark as slow all parameter sets of a test that is marked with `few`, but that many of them.

    Those that are kept are spread evenly, and without a period that would leave out a value of one parameter.
    """
    functions = defaultdict(list)
    for item in items:
        if item.get_closest_marker("few"):
            functions[item.parent, item.originalname].append(item)
    for sets in functions.values():
        (count,) = sets[0].get_closest_marker("few").args
        kept = sorted(range(len(sets)), key=lambda number: number * GOLDEN_RATIO % 1)[:count]
        for number, item in enumerate(sets):
            if number not in kept:
                item.add_marker("slow")


def put_long_files_first(items):
    """Order files for xdist, which hands them out in this order: none that takes long is left when the rest is done."""
    weights = Counter()
    for item in items:
        weights[item.path] += SLOW_WEIGHT if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(scope="session")
def thorough(request):
    """Whether a test with a size takes the full one."""
    return request.config.getoption("--thorough")


@pytest.fixture(scope="session")
def open_below():
    """Return the files below a folder that this process has open, removed ones too.

    All that a process has open is not for one test to count, as there are servers in it that several tests share.
    """

    def target(descriptor):
        try:
            return descriptor.readlink()
        except OSError:  # closed meanwhile
            return Path()

    def found(folder):
        targets = map(target, Path("/dev/fd").iterdir())
        return sorted(str(path) for path in targets if folder in path.parents)

    return found


@pytest.fixture
def free_port():
    """A port on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory):
    """Directories for journals of uploads and for the settings file, other than the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        environment.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def real_store():
    """A prefix of this session in the real store, as a split URL; its objects are deleted at the end."""
    if not os.environ.get(REAL_STORE):
        pytest.skip("no real S3 store is given; 'make test-remote' starts one and runs what needs it")
    obstore = pytest.importorskip(
        "obstore", reason="a real S3 store is reached through obstore, which is not installed"
    )
    given = urlsplit(os.environ[REAL_STORE])
    url = given._replace(path=f"{given.path.rstrip('/')}/test-{uuid.uuid4().hex[:12]}")
    yield url
    options = dict(parse_qsl(url.query), prefix=url.path, client_options={"allow_http": True})
    store = obstore.store.S3Store(url.netloc, **options)
    for found in obstore.list(store):
        obstore.delete(store, [each["path"] for each in found])


@pytest.fixture
def store_url(real_store):
    """The URL of an empty prefix in the real store, for `open_engine` and ``--engine``."""
    return real_store._replace(path=f"{real_store.path}/{uuid.uuid4().hex[:12]}").geturl()
