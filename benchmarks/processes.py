"""Processor seconds and peak memory of processes, from Linux's ``/proc`` and the process's own accounting."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psutil

_TICK = os.sysconf("SC_CLK_TCK")


def family(pid):
    """Return the pids of a process and of its present descendants, such as workers."""
    process = psutil.Process(pid)
    return (pid, *(child.pid for child in process.children(recursive=True)))


def own_cpu():
    """Return the processor seconds of this process and of its children that have ended."""
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cpu(pids):
    """Return the processor seconds of processes, exact to a tick of the kernel, usually 10 ms."""
    return sum(sum(map(int, _fields(pid)[11:13])) for pid in pids) / _TICK


def _fields(pid):
    # the name of a program, in parentheses, may have spaces
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def memory(pid, field):
    """Return ``VmRSS``, ``VmHWM`` or ``RssAnon`` of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def resident(pids):
    """Make the present memory of processes their peak, and return it in bytes, of all together."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return sum(memory(pid, "VmRSS") for pid in pids)


def peak(pids):
    """Return the sum of the peaks in bytes, which is at least the peak of the sum."""
    return sum(memory(pid, "VmHWM") for pid in pids)
