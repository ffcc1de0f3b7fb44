"""Names with an underscore are for the package they stand in: its tests may import them, and nobody else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = {"actorc", "lucas_storage"}
PUBLIC = {"_generated"}  # the messages are the protocol, which is public


def private_imports(path: Path, below: Path) -> list[str]:
    """Return the private names that a file imports from a package whose tests stand elsewhere below a folder."""
    home = path.relative_to(below).parent.parts
    return [
        name
        for name in imported(ast.parse(path.read_text()))
        if (owner := owner_of(name)) is not None and home[: len(owner)] != owner
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def owner_of(name: str) -> tuple[str, ...] | None:
    """Return the package that a private name belongs to, as the folders that lead to it; None for a public name."""
    parts = name.split(".")
    if parts[0] not in OWN:
        return None
    private = [index for index, part in enumerate(parts) if part.startswith("_") and part not in PUBLIC]
    return tuple(parts[: private[0]]) if private and not parts[private[0]].startswith("__") else None


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tests", "benchmarks", "examples"])
def test_private_names_are_imported_by_the_tests_of_their_own_package_alone(folder):
    below = ROOT / folder
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted(below.rglob("*.py"))
        if (names := private_imports(path, below))
    }

    assert found == {}


def test_an_import_from_another_package_is_found(tmp_path):
    test = tmp_path / "lucas_storage" / "cli" / "test_keys.py"
    test.parent.mkdir(parents=True)
    test.write_text(
        "from actorc.storage._wire import checksum\n"
        "from actorc._generated.ignis.storage.v1 import storage_pb2\n"
        "from lucas_storage import _shim, __version__\n"
        "import actorc.storage.client\n"
    )

    assert private_imports(test, tmp_path) == ["actorc.storage._wire.checksum"]
