"""Lock what tests, demo, benchmarks and contributors install; run by ``make locks``.

The resolver lives in an environment of its own, at one version. It looks at nothing that was uploaded after `UNTIL`, so
the same command gives the same locks on every machine and every day; a later `UNTIL` upgrades all of them. The package
index must tell when a file was uploaded, as PyPI does.

    python requirements/lock.py [FOLDER]

FOLDER is the folder to write into, that of this file by default.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

RESOLVER = "uv==0.13.9"
UNTIL = "2026-11-26T00:00:00Z"
OLDEST = "3.11"
HERE = Path(__file__).resolve().parent
PACKAGE = ("pyproject.toml", "requirements/build.in")
LOCKS = {
    "dev": (*PACKAGE, "--extra", "dev"),
    "test": (*PACKAGE, "--extra", "test"),
    "ecosystem": (*PACKAGE, "--extra", "ecosystem"),
    "browser": (*PACKAGE, "--extra", "browser"),
    "docs": (*PACKAGE, "--extra", "docs"),
    "demo": (*PACKAGE, "--extra", "examples"),
    "lowest": (*PACKAGE, "--extra", "test", "--resolution", "lowest-direct"),
    "bench": (*PACKAGE, "--extra", "bench"),
    "pip": ("requirements/pip.in",),
}
"""Each is one file for every Python from `OLDEST` on; the first five agree, being subsets at one moment."""


def lock(folder: Path) -> None:
    """Write the locks into `folder`; none of them names an index, a host or a machine."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        binaries = Path(scratch, "bin")
        _run(str(binaries / "pip"), "install", "--quiet", "--disable-pip-version-check", RESOLVER)
        for name, options in LOCKS.items():
            # Into an empty file: versions in one that is there would be kept, whatever `UNTIL` says. Wheels only: what
            # builds a source archive would come without a lock.
            _run(
                *(str(binaries / "uv"), "pip", "compile", "--quiet", "--no-config", "--universal", "--generate-hashes"),
                *("--only-binary", ":all:"),
                *("--python-version", OLDEST, "--exclude-newer", UNTIL, *options),
                *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make locks"),
                *("--output-file", f"{scratch}/{name}.txt"),
            )
            Path(folder, f"{name}.txt").write_text(Path(scratch, f"{name}.txt").read_text())


def _run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=HERE.parent)


if __name__ == "__main__":
    lock(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
