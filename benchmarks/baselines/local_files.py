"""Files copied and read without any service."""

from __future__ import annotations

import os
import subprocess


def copy(source, target):
    """Copy a file as ``cp`` does, block by block even where the file system could share them."""
    subprocess.run(["cp", "--reflink=never", source, target], check=True)


def durable_copy(source, target):
    """Copy a file and wait until it is on the disk."""
    copy(source, target)
    synced(target)


def synced(path):
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
