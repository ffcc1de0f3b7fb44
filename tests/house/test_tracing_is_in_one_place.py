"""OpenTelemetry is imported by the modules of one folder, and by no program that has not set it up."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "actorc" / "tracing"
SOURCES = [path for package in ("actorc", "lucas_storage") for path in (ROOT / package).rglob("*.py")]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_no_other_module_imports_it():
    found = {path for path in SOURCES if any(name.partition(".")[0] == "opentelemetry" for name in imported(path))}

    assert found == {PLACE / name for name in ("provider.py", "setup.py", "spans.py")}


CALLS = """
import sys
from actorc.storage import StorageClient
from actorc.storage.testing import local_server
import lucas_storage.cli.program
from lucas_storage import with_storage
with local_server() as server, server.client() as client:
    client.put_object("bucket", "key", b"x")
    with_storage(lambda: 1)()
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""


@pytest.mark.slow
def test_a_program_that_does_not_trace_never_imports_it(tmp_path):
    done = subprocess.run([sys.executable, "-c", CALLS], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
