"""Run a command with `prometheus` and `promtool` on its path: those that are there, or else of Debian's package.

    python tests/deploy/prometheus.py COMMAND…

The package is fetched into the cache of the user and unpacked there, once; nothing is installed, and no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def folder() -> str:
    """Return the folder of the programs, which are fetched if need be."""
    if found := shutil.which("promtool"):
        return str(Path(found).parent)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        sys.exit("[prometheus] it is not installed, and there is no apt-get, which fetches it")
    place = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "lucas-storage-tests", "prometheus").expanduser()
    if not (place / "usr/bin/promtool").exists():
        fetch(place)
    return str(place / "usr/bin")


def fetch(place: Path) -> None:
    """Put what the package has below a folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as draft:
        done = subprocess.run(["apt-get", "download", "prometheus"], cwd=draft, capture_output=True, check=False)
        packages = list(Path(draft).glob("prometheus_*.deb"))
        if done.returncode or not packages:
            sys.exit("[prometheus] apt-get cannot fetch it; 'apt-get update' may help")
        unpacked = Path(draft, "unpacked")
        subprocess.run(["dpkg-deb", "-x", packages[0], unpacked], check=True)
        # whole before it gets its name, and another process may have been faster
        if not place.exists():
            unpacked.rename(place)


if __name__ == "__main__":
    there = {**os.environ, "PATH": os.pathsep.join([folder(), os.environ["PATH"]])}
    sys.exit(subprocess.run(sys.argv[1:], env=there, check=False).returncode)
