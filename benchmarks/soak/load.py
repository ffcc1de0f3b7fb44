"""One load process: ``python -m benchmarks.soak.load ENDPOINT NAME FOLDER``, with the keys in the environment.

It makes one call after the other, checks every answer against its journal, and records wrong ones there. A key whose
last change ended in an error is not changed again: the change may still happen.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actorc.storage import IntegrityError, NotFoundError, StorageClient, StorageError

from .content import SIZES, MiB, content, state
from .journal import ABSENT, Expectation, Journal

BUCKET = "soak"
REGISTER = "register"
TIMEOUT = 20.0
"""Seconds that a call may take, restarts of the server included."""
THINK = 0.02
"""Seconds between two calls, so that the server and the disturbances get processor time."""
LARGE = 12 * MiB
KEYS = 40


class Load:
    """A client, its own keys, and their expected states.

    Args:
        client: Of the server, or of something between.
        name: Prefix of its keys; no other process has it.
        journal: Where it writes what it does.
    """

    def __init__(self, client: StorageClient, name: str, journal: Journal) -> None:
        self._client = client
        self._name = name
        self._journal = journal
        self._random = random.Random(name)
        self._known: dict[str, Expectation] = {}
        self._counter = 0
        self._folder = Path(tempfile.mkdtemp(dir=os.environ.get("SOAK_SCRATCH")))

    def step(self) -> None:
        """Make one call, and record its duration and outcome."""
        operations: dict[Callable[[], None], int] = {
            self._put: 30,
            self._get: 30,
            self._head: 8,
            self._delete: 8,
            self._copy: 5,
            self._list: 4,
            self._upload_file: 4,
            self._download_file: 4,
            self._abandon: 3,
            self._write_register: 6,
            self._read_register: 8,
        }
        operation = self._random.choices(list(operations), list(operations.values()))[0]
        began, failure = time.monotonic(), ""
        try:
            operation()
        except IntegrityError as error:
            failure = type(error).__name__
            self._journal.append(refused=error.message)
        except StorageError as error:
            failure = type(error).__name__
        self._journal.append(
            op=operation.__name__.strip("_"), began=began, seconds=time.monotonic() - began, failure=failure
        )

    def _put(self) -> None:
        key, data = self._writable(), self._content(self._random.choice(SIZES))
        self._change(key, state(data), lambda: self._client.put_object(BUCKET, key, data))

    def _delete(self) -> None:
        key = self._writable()
        self._change(key, ABSENT, lambda: self._client.delete_object(BUCKET, key))

    def _copy(self) -> None:
        source, target = self._writable(), self._writable()
        known = self._known.get(source)
        if source == target or known is None or known.states == {ABSENT}:
            return
        self._change(target, next(iter(known.states)), lambda: self._client.copy_object(BUCKET, source, BUCKET, target))

    def _upload_file(self) -> None:
        key, data = self._writable(), self._content(LARGE)
        path = self._folder / "up.bin"
        path.write_bytes(data)
        self._change(key, state(data), lambda: self._client.upload_file(BUCKET, key, path))

    def _get(self) -> None:
        key = self._any()
        self._compare(key, self._read(lambda: self._client.get_object(BUCKET, key)))

    def _download_file(self) -> None:
        key, path = self._any(), self._folder / "down.bin"

        def downloaded() -> bytes:
            self._client.download_file(BUCKET, key, path, overwrite=True)
            return path.read_bytes()

        self._compare(key, self._read(downloaded))

    def _head(self) -> None:
        key = self._any()
        try:
            found = str(self._client.head_object(BUCKET, key)["size"])
        except NotFoundError:
            found = ABSENT
        sizes = {known.partition(":")[0] for known in self._known.get(key, Expectation()).states}
        if found not in sizes:
            self._journal.append(wrong=f"head of {key} has size {found}, not one of {sorted(sizes)}")

    def _list(self) -> None:
        listed = {found["key"] for found in self._client.iter_objects(BUCKET, f"{self._name}/")}
        for key, known in self._known.items():
            if (key in listed) not in {each != ABSENT for each in known.states}:
                self._journal.append(wrong=f"a listing has {key}: {key in listed}, expected {sorted(known.states)}")

    def _abandon(self) -> None:
        """Begin an upload whose source breaks."""
        key, cut = f"{self._name}/never-{self._counter}", self._random.randrange(3 * MiB)
        self._counter += 1

        def broken() -> object:
            yield bytes(cut)
            raise InterruptedError

        try:
            self._client.upload_from_stream(BUCKET, key, broken())
        except InterruptedError:
            if self._client.object_exists(BUCKET, key):
                self._journal.append(wrong=f"{key} was published though its source broke")

    def _write_register(self) -> None:
        data = self._content(200)
        value, start = state(data), time.monotonic()
        self._journal.append(register=value, is_write=True, start=start)
        self._client.put_object(BUCKET, REGISTER, data)
        self._journal.append(register=value, is_write=True, start=start, finish=time.monotonic())

    def _read_register(self) -> None:
        start = time.monotonic()
        value = state(self._client.get_object(BUCKET, REGISTER))
        self._journal.append(register=value, is_write=False, start=start, finish=time.monotonic())

    def _change(self, key: str, target: str, call: Callable[[], object]) -> None:
        known = self._known.setdefault(key, Expectation())
        self._journal.append(key=key, intent=target)
        known.states.add(target)
        known.certain = False
        call()
        known.states = {target}
        known.certain = True
        self._journal.append(key=key, told=target)

    def _read(self, call: Callable[[], bytes]) -> str:
        try:
            return state(call())
        except NotFoundError:
            return ABSENT

    def _compare(self, key: str, found: str) -> None:
        states = self._known.get(key, Expectation()).states
        if found not in states:
            self._journal.append(wrong=f"{key} is {found}, not one of {sorted(states)}")

    def _content(self, size: int) -> bytes:
        self._counter += 1
        return content(f"{self._name} {self._counter}", size)

    def _any(self) -> str:
        return self._random.choice(list(self._known) or [self._writable()])

    def _writable(self) -> str:
        key = f"{self._name}/{self._random.randrange(KEYS):02}"
        while not self._known.get(key, Expectation()).certain:
            key += "+"
        return key


def main(endpoint: str, name: str, folder: str) -> None:
    """Make calls until the process is killed."""
    with StorageClient(endpoint, timeout=TIMEOUT, idle_timeout=3.0) as client:
        load = Load(client, name, Journal(Path(folder, f"{name}.jsonl")))
        while True:
            load.step()
            time.sleep(THINK)


if __name__ == "__main__":
    main(*sys.argv[1:])
