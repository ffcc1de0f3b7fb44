"""Fixtures of the embedded engine's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lucas_storage.embedded
from lucas_storage.embedded import routeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(lucas_storage.embedded.__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test a registry, a platform and a storage directory of its own."""
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])
    monkeypatch.setattr(routeBuilder, "actors", [])
    monkeypatch.setattr(routeBuilder, "groups", [])
    monkeypatch.delenv("provider", raising=False)
    monkeypatch.setenv("LOCAL_STORAGE_DIR", str(tmp_path / "values"))


@pytest.fixture
def fresh_python(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs code in a new interpreter, with folders first on its path; returns the output."""

    def run(code: str, *folders: Path) -> str:
        path = os.pathsep.join(map(str, [*folders, ROOT, Path(__file__).parent]))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
