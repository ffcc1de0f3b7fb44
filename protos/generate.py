"""Generate ``actorc/_generated`` from the protos beside this file; run by ``make protos``.

The generator lives in an environment of its own, because grpcio-tools wants another protobuf than the product runs
on. Its version is a floor for users: generated code refuses an older protobuf.

    python protos/generate.py [TARGET]

TARGET is the folder to write into, the repository by default.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

GENERATORS = ("grpcio-tools==1.76.0", "mypy-protobuf==5.1.0")
PROTOS = Path(__file__).resolve().parent


def generate(target: Path) -> None:
    """Write the generated modules below `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        binaries = Path(scratch, "bin")
        _run(str(binaries / "pip"), "install", "--quiet", "--disable-pip-version-check", *GENERATORS)
        sources = [str(path) for path in sorted(PROTOS.rglob("*.proto"))]
        _run(
            str(binaries / "python"),
            "-m",
            "grpc_tools.protoc",
            f"--plugin=protoc-gen-mypy={binaries / 'protoc-gen-mypy'}",
            f"-Iactorc/_generated={PROTOS}",
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            *sources,
        )
    for folder in {found.parent for found in (target / "actorc" / "_generated").rglob("*.py")}:
        for level in (folder, *folder.parents):
            if level == target / "actorc":
                break
            (level / "__init__.py").touch()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS.parent)
