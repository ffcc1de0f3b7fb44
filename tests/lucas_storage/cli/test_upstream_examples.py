"""The platform's own examples of its client, unchanged but for ``/path/to`` and the port, each tick of them printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

EXAMPLES = Path(os.environ.get("IGNIS_SRC", "/nowhere"), "clients/py/actorc/storage/examples.py")
LUCAS = {"embedded": "", "genuine": os.environ.get("LUCAS_SRC"), "older": os.environ.get("LUCAS_OLD")}
TICKS = 19

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not EXAMPLES.exists(), reason="IGNIS_SRC names no checkout of ignis"),
]


@pytest.fixture(params=LUCAS)
def environment(request, free_port):
    if LUCAS[request.param] is None:
        pytest.skip("LUCAS_SRC or LUCAS_OLD names no checkout of Lucas")
    nowhere = dict.fromkeys(("IGNIS_ADDR", "MASTER_ADDR", "APP_ID"), "")
    return {**nowhere, "PYTHONPATH": LUCAS[request.param], "LUCAS_STORAGE_RUN_PORT": str(free_port)}


def test_every_example_of_upstream_succeeds(lucas_storage, environment, free_port):
    (lucas_storage.folder / "report.pdf").write_bytes(b"%PDF")
    code = EXAMPLES.read_text().replace("/path/to", str(lucas_storage.folder))
    (lucas_storage.folder / "examples.py").write_text(code.replace("localhost:9000", f"localhost:{free_port}"))
    ran = lucas_storage.run("run", "examples.py", env=environment)

    assert ran.stdout.count("✓") == TICKS, ran.stdout + ran.stderr
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (lucas_storage.folder / "downloaded_report.pdf").read_bytes() == b"%PDF"
