"""Users who check their types find `lucas`: the stubs that are shipped name what it has, and fit our documents."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "lucas-stubs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LUCAS = [os.environ.get(name) for name in ("LUCAS_SRC", "LUCAS_OLD")]

TESTS = """
from pathlib import Path

from actorc.storage.testing import FaultyServer, LocalServer
from lucas.workflow import Lambda
from lucas_storage import Storage
from lucas_storage.testing import call

from module_0 import shout


def test_it(storage: Storage, storage_server: LocalServer, storage_faults: FaultyServer, tmp_path: Path) -> None:
    with storage_faults.cut(after=10) as fault, storage_faults.full_disk():
        assert fault.struck == 0
    assert call(shout, text="hello") == "HELLO"


def is_placeholder(value: object) -> bool:
    return isinstance(value, Lambda)
"""


def stubs():
    return [pytest.param(path, id=str(path.relative_to(STUBS))) for path in sorted(STUBS.rglob("*.pyi"))]


def module_of(stub):
    parts = stub.relative_to(STUBS).with_suffix("").parts
    return ".".join(["lucas", *(part for part in parts if part != "__init__")])


def names_in(stub):
    imported = [each for each in ast.walk(ast.parse(stub.read_text())) if isinstance(each, ast.ImportFrom)]
    return [alias.name for each in imported for alias in each.names if alias.name != "*"]


@pytest.mark.parametrize("stub", stubs())
def test_a_stub_describes_a_module_of_the_embedded_engine(stub):
    from lucas_storage.embedded import install

    install()
    module = importlib.import_module(module_of(stub))

    assert [name for name in names_in(stub) if not hasattr(module, name)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [path or pytest.param("", marks=pytest.mark.skip("no genuine Lucas")) for path in LUCAS]
)
def test_genuine_lucas_has_the_names_too(source):
    names = names_in(STUBS / "__init__.pyi")
    code = f"import lucas; print([name for name in {names} if not hasattr(lucas, name)])"
    environment = {**os.environ, "PYTHONPATH": source}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_what_the_readme_shows_passes_a_strict_check_by_its_user(tmp_path):
    pytest.importorskip("mypy", reason="mypy checks types, and is not installed")
    blocks = [code for code in BLOCK.findall((ROOT / "README.md").read_text()) if "@workflow" in code]
    for number, code in enumerate(blocks):
        (tmp_path / f"module_{number}.py").write_text(code)
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "."]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110)

    assert len(blocks) == 2
    assert (checked.stdout, checked.returncode) == (f"Success: no issues found in {len(blocks) + 1} source files\n", 0)
