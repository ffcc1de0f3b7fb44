"""A file of any size goes through two steps, and memory holds a few parts of it at a time.

lucas-storage run examples/larger_than_memory.py [MEBIBYTES]
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lucas import Workflow, function, workflow

from lucas_storage import run, with_storage

MIB = 1 << 20


@function
@with_storage
def errors_of(log: BinaryIO) -> Iterator[bytes]:  # read as it is asked for, stored as it is made
    for line in log:
        if b" ERROR " in line:
            yield line


@function
@with_storage
def by_service(lines: Iterator[bytes]) -> dict:
    return dict(Counter(line.split()[2].decode() for line in lines))


@workflow
def failures(wf: Workflow):
    return wf.call("by_service", {"lines": wf.call("errors_of", {"log": wf.input()["log"]})})


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


size = int(sys.argv[1]) if len(sys.argv) > 1 else 512
hour = b"".join(
    b"%04d %s service-%d %s\n" % (second, b"ERROR" if second % 97 < second % 4 else b"INFO ", second % 4, b"." * 80)
    for second in range(MIB // 102)
)
with tempfile.TemporaryDirectory() as folder:
    log = Path(folder, "service.log")
    with log.open("wb") as file:
        file.writelines(b"hour %06d\n%s" % (number, hour) for number in range(size))
    before = peak()
    found = run(failures, {"log": log})
    taken = peak() - before
print("errors by service", dict(sorted(found.items())))
print(f"{size} MiB of log took {'less' if taken < size // 2 else 'more'} than half of that in memory")
