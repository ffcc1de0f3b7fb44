"""Runs scenarios again and again and dies in them: before and after the first disk call, the second, and so on.

Usage: crash_child.py ROOT SCENARIO=STEP..., where a STEP of 3 stands for every third call. Every attempt has a data
directory below ROOT/SCENARIO and, beside it, a journal of what was tried and what was acknowledged; a fork dies as
abruptly as a killed process and needs no interpreter start. Once an attempt did not die, ROOT/SCENARIO/attempts has
their number.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import ObjectAttributes, SmallObject
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import FsOps, LocalEngine, Rebuild
from actorc.storage.server.engines.local.index.schema import connect

CHANGES = (
    "create",
    "allocate",
    "write",
    "clone",
    "truncate",
    "sync",
    "sync_directory",
    "make_directory",
    "remove_directory",
    "rename",
    "unlink",
    "commit",
    "checkpoint",
)
DIED = 9
MOMENTS = ("before", "after")


class Dying(FsOps):
    """The real disk, and the end of the process at one call."""

    def __init__(self, call, moment):
        self.left = call
        self.moment = moment
        self.armed = False

    def __getattribute__(self, name):
        real = super().__getattribute__(name)
        if name not in CHANGES or not self.armed:
            return real

        def call(*args):
            self.left -= 1
            if self.left == 0 and self.moment == "before":
                os._exit(DIED)
            result = real(*args)
            if self.left == 0:
                os._exit(DIED)
            return result

        return call

    def sync(self, _descriptor):
        """Do nothing: what a killed process wrote stays with the system, synced or not."""

    def sync_directory(self, _path):
        """Do nothing, for the same reason."""


class Run:
    """An engine, and the journal of what it acknowledged."""

    def __init__(self, directory, fsops):
        self.fsops = fsops
        self.journal = directory.with_suffix(".journal").open("a", buffering=1)
        self.directory = directory
        self.engine = None

    def open(self):
        self.engine = LocalEngine(self.directory, fsops=self.fsops, sweep_interval=None)
        self.engine.create_bucket("bucket", exist_ok=True)

    def note(self, what, value):
        self.journal.write(json.dumps([what, value]) + "\n")

    def put(self, size, **options):
        self.note("try", size)
        with self.engine.writer("bucket", "key", **options) as writer:
            fill(writer, size, size)
            writer.commit(ObjectAttributes())
        self.note("done", size)

    def import_file(self, size):
        source = self.directory.with_suffix(".source")
        source.write_bytes(bytes([size % 251]) * size)
        self.note("try", size)
        with self.engine.writer("bucket", "key") as writer, source.open("rb") as file:
            writer.import_file(file.fileno(), 0, size)
            writer.commit(ObjectAttributes())
        self.note("done", size)

    def part(self, upload_id, number, size, total):
        with self.engine.part_writer("bucket", "key", upload_id, number) as writer:
            fill(writer, size, total)
            return PartChoice(number, writer.commit().etag)

    def multipart(self, *sizes):
        total = sum(sizes)
        upload_id = self.engine.create_upload("bucket", "key", ObjectAttributes())
        parts = [self.part(upload_id, number, size, total) for number, size in enumerate(sizes, 1)]
        self.part(upload_id, len(sizes) + 1, MiB + 1, total)
        self.note("try", total)
        self.engine.complete_upload("bucket", "key", upload_id, parts)
        self.note("done", total)

    def put_many(self, size):
        self.note("try", size)
        self.engine.put_many("bucket", batch_of(size), idempotency_key=f"batch-{size}")
        self.note("done", size)

    def copy(self, source, target, size):
        self.note("try", size)
        self.engine.copy(CopySource(bucket="bucket", key=source), "bucket", target)
        self.note("done", size)

    def delete(self):
        self.note("try", None)
        self.engine.delete("bucket", "key")
        self.note("done", None)

    def delete_many(self, *keys):
        self.note("try", None)
        self.engine.delete_many("bucket", keys)
        self.note("done", None)


def batch_of(size):
    data = bytes([size % 251]) * size
    return [SmallObject(key, data, crc32c(data)) for key in ("key", "beside", "last")]


def fill(writer, size, total):
    for start in range(0, size, MiB):
        data = bytes([total % 251]) * min(MiB, size - start)
        writer.write(data, crc32c(data))


def first_start(run):
    run.fsops.armed = True
    run.open()
    run.put(10)
    run.engine.close()


def second_start(run):
    run.open()
    run.put(2 * MiB)
    run.engine.close()
    run.fsops.armed = True
    run.open()
    run.put(20)


def inline(run):
    run.open()
    run.fsops.armed = True
    run.put(10)


def large(run):
    run.open()
    run.fsops.armed = True
    run.put(MiB + 10)


def declared_too_large(run):
    run.open()
    run.fsops.armed = True
    run.put(MiB + 10, declared_size=2 * MiB)


def imported(run):
    run.open()
    run.fsops.armed = True
    run.import_file(2 * MiB + 10)
    run.import_file(MiB + 10)
    run.engine.sweep()


def overwrite(run):
    run.open()
    run.put(MiB + 10)
    run.fsops.armed = True
    run.put(MiB + 20)
    run.put(30)
    run.put(MiB + 40)
    run.engine.sweep()


def delete(run):
    run.open()
    run.put(MiB + 10)
    run.put(MiB + 20)
    run.fsops.armed = True
    run.delete()
    run.engine.sweep()
    run.put(30)
    run.delete()


def part_again(run):
    run.open()
    upload_id = run.engine.create_upload("bucket", "key", ObjectAttributes())
    run.fsops.armed = True
    for _ in range(2):
        run.part(upload_id, 1, MiB + 10, 7)
    run.engine.abort_upload("bucket", "key", upload_id)
    run.engine.sweep()


def multipart(run):
    run.open()
    run.put(MiB + 10)
    run.fsops.armed = True
    run.multipart(30, MiB + 20, MiB + 5)
    run.engine.sweep()


def copy(run):
    run.open()
    run.multipart(MiB + 20, 30, MiB + 5)
    size = 2 * MiB + 55
    run.fsops.armed = True
    run.copy("key", "key", size)
    run.engine.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy")
    run.delete()
    run.engine.sweep()
    run.copy("copy", "key", size)


def batch_delete(run):
    run.open()
    run.multipart(MiB + 20, 30, MiB + 5)
    run.engine.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy")
    run.fsops.armed = True
    run.delete_many("copy", "key")
    run.engine.sweep()


def batch_put(run):
    run.open()
    run.fsops.armed = True
    for size in (10, 20):
        run.put_many(size)
    run.engine.sweep()


def forgotten(run):
    """Put the object, and let the index forget it without a word, as a damaged one may."""
    run.open()
    run.put(MiB + 10)
    with closing(connect(run.directory / "meta" / "meta.db")) as connection:
        for table in ("object", "content"):
            connection.execute(f"DELETE FROM {table}")


def quarantine(run):
    forgotten(run)
    run.fsops.armed = True
    run.engine.sweep()
    run.engine.maintenance.adopt()


def adopt(run):
    forgotten(run)
    run.engine.maintenance.accept()
    run.fsops.armed = True
    run.engine.maintenance.adopt()


def rebuild(run):
    run.open()
    run.multipart(MiB + 20, 30, MiB + 5)
    run.engine.close()
    run.fsops.armed = True
    with closing(Rebuild(run.directory, fsops=run.fsops)) as rebuilding:
        rebuilding.run(commit=True)


SCENARIOS = (
    first_start,
    second_start,
    inline,
    large,
    declared_too_large,
    imported,
    overwrite,
    delete,
    part_again,
    multipart,
    copy,
    batch_delete,
    batch_put,
    quarantine,
    adopt,
    rebuild,
)


def attempt(scenario, directory, call, moment):
    child = os.fork()
    if child == 0:
        try:
            scenario(Run(directory, Dying(call, moment)))
        except BaseException as error:  # noqa: BLE001 (told on standard error; a fork must not return into the loop)
            print(f"{scenario.__name__} {call} {moment}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_all(scenario, directory, step, empty):
    directory.mkdir()
    for number, (call, moment) in enumerate(((call, moment) for call in count(1, step) for moment in MOMENTS), 1):
        data = directory / f"{call:03}-{moment}"
        if scenario is not first_start:
            shutil.copytree(empty, data)
        code = attempt(scenario, data, call, moment)
        if code == 0:
            (directory / "attempts").write_text(f"{number}")
        if code != DIED:
            return


def main(root, *asked):
    logging.disable(logging.WARNING)  # of blobs that are put away and come back; errors are told
    scenarios = {one.__name__: one for one in SCENARIOS}
    # to open a copy of a store takes half as long as to make one
    empty = Path(root, "empty")
    LocalEngine(empty, sweep_interval=None).close()
    for name, step in (each.split("=") for each in asked):
        run_all(scenarios[name], Path(root, name), int(step), empty)


if __name__ == "__main__":
    main(*sys.argv[1:])
