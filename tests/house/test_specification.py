"""Every Python block of the user's specification, unchanged but for the host and ``/path/to``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

SPECIFICATION = Path(__file__).parents[3] / "shared" / "design" / "ignis-storage-client.zh.md"
MiB = 1 << 20


@pytest.fixture
def blocks():
    if not SPECIFICATION.exists():
        pytest.skip("the specification does not lie beside this checkout")
    return re.findall(r"```python\n(.*?)```", SPECIFICATION.read_text(), re.DOTALL)


def test_every_block_runs_as_printed(blocks, tmp_path, monkeypatch, capsys):
    local = {"local/file.txt": 10, "data.bin": 10, "large/video.mp4": 101 * MiB, "large_data.bin": 10}
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
