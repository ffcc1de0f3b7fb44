from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = Path("actorc", "_generated")
ASYNC_CLIENT = Path("actorc", "storage", "_async", "_generated")


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*.py*"))
        if path.suffix != ".pyc"
    }


def generate_async_client(target, source=ROOT):
    runpy.run_path(str(ROOT / "generators" / "async_client.py"))["generate"](target, source)
    return files(target / ASYNC_CLIENT)


@pytest.mark.thorough
def test_the_committed_generated_code_is_what_the_protos_give(tmp_path):
    runpy.run_path(str(ROOT / "protos" / "generate.py"))["generate"](tmp_path)

    assert files(ROOT / PROTOCOL) == files(tmp_path / PROTOCOL)


def test_the_committed_asynchronous_methods_are_what_the_blocking_ones_give(tmp_path):
    assert files(ROOT / ASYNC_CLIENT) == generate_async_client(tmp_path)


CHANGES = [
    ("def list_buckets(self, *,", "def list_buckets(self, glob: str, *,", "self._client.list_buckets, glob, timeout="),
    ("exist_ok: bool = False", "exist_ok: bool = True", "exist_ok: bool = True"),
    ("Make a bucket.", "Make one bucket.", "Make one bucket."),
    ("    def _clear(", "    def clear(", "async def clear("),
]
"""Changes of blocking methods, and what the asynchronous ones then have: a parameter, a default, a text, a method."""


def test_a_change_of_a_blocking_method_changes_the_asynchronous_one(tmp_path):
    source = blocking_client(tmp_path)
    for now, then, _ in CHANGES:
        replace(source / "actorc" / "storage" / "_client" / "buckets.py", now, then)
    before = (ROOT / ASYNC_CLIENT / "methods.py").read_text()
    after = generate_async_client(tmp_path / "target", source)["methods.py"]

    assert [expected in before for _, _, expected in CHANGES] == [False] * len(CHANGES)
    assert [expected in after for _, _, expected in CHANGES] == [True] * len(CHANGES)


def test_a_phrase_that_is_to_be_replaced_cannot_get_lost(tmp_path):
    source = blocking_client(tmp_path)
    replace(source / "actorc" / "storage" / "_client" / "opening.py", "Open an object as a file,", "Open an object,")

    with pytest.raises(LookupError, match="Open an object as a file"):
        generate_async_client(tmp_path / "target", source)


def blocking_client(folder):
    shutil.copytree(ROOT / "actorc" / "storage" / "_client", folder / "actorc" / "storage" / "_client")
    shutil.copy(ROOT / "actorc" / "storage" / "client.py", folder / "actorc" / "storage")
    return folder


def replace(file, now, then):
    text = file.read_text()
    assert now in text
    file.write_text(text.replace(now, then))
