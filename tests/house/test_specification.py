"""Every Python block of the user's specification, unchanged but for the host and ``/path/to``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

SPECIFICATION = Path(__file__).parents[2] / "docs" / "specification.zh.md"
MiB = 1 << 20
AROUND_THE_WORKFLOW = """

def process_data(data):
    import json, os
    return json.dumps({"pid": os.getpid(), "size": len(data)}).encode()


import json, os
from lucas_storage import run

storage = StorageClient()
storage.put_object("input-data", "raw/data.csv", b"a,b\\n1,2\\n")
for start in (lambda: run(data_pipeline), lambda: data_pipeline.export()({})):
    value = start()
    made = json.loads(storage.get_object("processed-data", "processed/data.parquet"))
    print(json.dumps({"value": value, "made": made, "pid": os.getpid()}))
"""
"""What the block with the workflow leaves to the reader."""


@pytest.fixture
def blocks():
    return re.findall(r"```python\n(.*?)```", SPECIFICATION.read_text(), re.DOTALL)


def test_every_block_runs_as_printed(blocks, tmp_path, monkeypatch, capsys, thorough):
    large = (101 if thorough else 17) * MiB
    local = {"local/file.txt": 10, "data.bin": 10, "large/video.mp4": large, "large_data.bin": 10}
    for name, size in local.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with local_server() as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        storage_blocks = [block for block in blocks if "actorc.controller" not in block]
        for block in storage_blocks:
            code = block.replace("storage.ignis.local:9000", server.endpoint).replace("/path/to", str(tmp_path))
            exec(compile(code, "specification", "exec"), names)
        names["client"].close()

    assert len(storage_blocks) == 5
    printed = capsys.readouterr().out
    assert "Hello, Storage!" in printed
    assert "data/content.txt - 15 bytes" in printed
    assert "Object exists: True" in printed
    assert "对象不存在: my-bucket/missing.txt" in printed
    assert (tmp_path / "save" / "file.txt").read_bytes() == bytes(10)


@pytest.mark.slow
def test_the_workflow_runs_as_printed_and_its_function_in_another_process(blocks, tmp_path):
    (workflow,) = [block for block in blocks if "actorc.controller" in block]
    script = tmp_path / "script.py"
    script.write_text(workflow + AROUND_THE_WORKFLOW)
    chosen = ("STORAGE_ENDPOINT", "IGNIS_ADDR", "MASTER_ADDR", "APP_ID")
    ran = subprocess.run(
        [sys.executable, "-m", "lucas_storage.cli", "run", script.name],
        env={name: value for name, value in os.environ.items() if name not in chosen},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [each["value"] for each in results] == [{"status": "success", "output_key": "processed/data.parquet"}] * 2
    assert [each["made"]["size"] for each in results] == [8, 8]
    assert all(each["made"]["pid"] != each["pid"] for each in results)
