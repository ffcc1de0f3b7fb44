"""A Python environment of its own with this project's wheel and upstream's ``actorc``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = """
from lucas_storage import embedded
embedded.install()
from actorc.controller.context import ActorContext
import actorc.storage, actorc.storage.client, actorc.storage.errors
from actorc.storage import AsyncStorageClient, StorageClient
print(actorc.storage.client.StorageClient is StorageClient, hasattr(ActorContext, "createContext"))
"""
"""Prints ``True True`` where our modules are whole, whatever lies beside them."""
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
    ours: Path
    """What the wheel has in it, compiled."""
    starts: bool = True
    """Whether Python reads the .pth file in it at its start."""

    def install_ours(self) -> None:
        """Copy what the wheel has in it over the present files."""
        shutil.copytree(self.ours, self.folder, dirs_exist_ok=True)

    def install(self, package: Path) -> None:
        """Copy another ``actorc`` over the present files."""
        shutil.copytree(package, self.folder / "actorc", dirs_exist_ok=True)

    @property
    def start(self) -> str:
        """Code that gives a bare Python this folder, and our dependencies without their .pth files: one is ours."""
        dependencies = sysconfig.get_path("purelib")
        add = "site.addsitedir" if self.starts else "sys.path.append"
        return f"import site, sys; {add}({str(self.folder)!r}); sys.path.append({dependencies!r})\n"

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
    """Our wheel, built from this checkout; a package index is asked for what builds it only where that is missing."""
    target = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(ROOT)]
    if find_spec("hatchling"):
        command = ["-c", f"from hatchling.build import build_wheel; build_wheel({str(target)!r})"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=ROOT, timeout=300)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="session")
def ours(tmp_path_factory, wheel):
    """What our wheel has in it, with what an installation compiles of it."""
    folder = tmp_path_factory.mktemp("ours")
    shutil.unpack_archive(wheel, folder, "zip")
    Site(folder=folder, ours=folder).run(OURS)
    return folder


@pytest.fixture
def site(tmp_path, ours):
    """An empty folder of the test's own."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return Site(folder=folder, ours=ours)


@pytest.fixture
def ours_alone(ours):
    """A folder with our wheel, for tests that change nothing in it."""
    return Site(folder=ours, ours=ours)


@pytest.fixture(scope="session")
def overwritten(tmp_path_factory, ours, stand_in):
    """A folder where upstream's package was installed after ours, for tests that change nothing in it."""
    made = Site(folder=tmp_path_factory.mktemp("overwritten"), ours=ours)
    made.install_ours()
    made.install(stand_in)
    return made


@pytest.fixture
def not_started(overwritten):
    """The same, where Python does not read our .pth file."""
    return replace(overwritten, starts=False)


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """A package ``actorc`` with the files of upstream's."""
    package = tmp_path_factory.mktemp("stand-in") / "actorc"
    for name, text in STAND_IN.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return package
