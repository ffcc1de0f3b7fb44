"""A Python environment of its own with this project's wheel and upstream's ``actorc``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = {
    "__init__.py": "import sys\nsys.path.append(f'{__path__[0]}/protos')\n",
    "storage/__init__.py": "from .client import StorageClient\nfrom .errors import StorageError\n",
    "storage/client.py": "class StorageClient:\n    def put_object(self):\n        return {'etag': 'mock-etag'}\n",
    "storage/errors.py": "class StorageError(Exception):\n    pass\n",
    "controller/__init__.py": "from .context import ActorContext\n",
    "controller/context.py": "class ActorContext:\n    pass\n",
    "executor/__init__.py": "from ..utils import NAME\nimport store_pb2\n",
    "utils/__init__.py": "NAME = 'upstream'\n",
    "protos/store_pb2.py": "",
}
"""Modules of upstream's package: those that this one has too, and others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A folder like ``site-packages`` in which packages are laid over each other."""

    folder: Path
    wheel: Path

    def install_ours(self) -> None:
        """Unpack the wheel over the present files."""
        shutil.unpack_archive(self.wheel, self.folder, "zip")

    def install(self, package: Path) -> None:
        """Copy another ``actorc`` over the present files."""
        shutil.copytree(package, self.folder / "actorc", dirs_exist_ok=True)

    @property
    def start(self) -> str:
        """Code that gives a bare Python this folder, and our dependencies without their .pth files: one is ours."""
        dependencies = sysconfig.get_path("purelib")
        return f"import site, sys; site.addsitedir({str(self.folder)!r}); sys.path.append({dependencies!r})\n"

    def run(self, code: str, **environment: str) -> str:
        """Run code in a Python that has this folder, and our dependencies; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-S", "-W", "ignore", "-c", self.start + code],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, **environment},
            timeout=60,
        )
        assert not done.returncode, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Our wheel, built from this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(target.glob("*.whl"))


@pytest.fixture
def site(tmp_path, wheel):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return Site(folder=folder, wheel=wheel)


@pytest.fixture
def stand_in(tmp_path):
    """A package ``actorc`` with the files of upstream's."""
    package = tmp_path / "stand-in" / "actorc"
    for name, text in STAND_IN.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return package
