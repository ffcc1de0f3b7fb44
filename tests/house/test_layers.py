"""Imports go down only, and no file imports itself by way of others; type-only and lazy imports count as any other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("actorc", "lucas_storage")
TOPS = (*PACKAGES, "actorc/storage", "actorc/controller")
FULL = {"engines.local": "actorc.storage.server.engines.local"}


@pytest.mark.slow
def test_imports_go_down_only():
    linted = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize(
    "package", ["lucas_storage", "actorc.storage", "actorc.storage.server", "engines.local", "actorc.controller"]
)
def test_the_layers_are_told_as_they_are(package):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [
        each["layers"] for each in contracts if each.get("containers", [""])[0] in (package, FULL.get(package))
    ]
    (told,) = re.findall(rf"^\| `{re.escape(package)}` \| (.*) \|$", ARCHITECTURE, re.MULTILINE)

    assert told.replace(", ", " : ").split(" · ") == [layer for layer in layers if not layer.startswith("(")]


def test_every_folder_and_every_module_above_the_folders_is_in_the_architecture():
    folders = {file.parent for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    modules = {file for top in TOPS for file in (ROOT / top).glob("*.py") if not file.stem.startswith("__")}
    names = {path.stem for path in folders | modules if "_generated" not in path.parts}

    assert {name for name in names if not re.search(rf"\b{name}\b", ARCHITECTURE)} == set()


def test_no_file_imports_itself_by_way_of_others():
    graph = imports_of_files(ROOT, PACKAGES)

    assert graph["lucas_storage.refs"] >= {"lucas_storage.errors", "lucas_storage.references.handles"}
    assert circle_in(graph) == []


@pytest.mark.parametrize(
    "upward",
    [
        "from .above import thing",
        "import package.above",
        "from package import above",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .above import Thing",
        "def late():\n    from . import above",
        "try:\n    from package.above import thing\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_upward_closes_a_circle_wherever_it_stands(tmp_path, upward):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "above.py").write_text("from .below import base")
    (package / "below.py").write_text("base = 1")
    assert circle_in(imports_of_files(tmp_path, ["package"])) == []

    (package / "below.py").write_text(upward)

    assert set(circle_in(imports_of_files(tmp_path, ["package"]))) == {"package.above", "package.below"}


def test_a_folder_can_be_seen_at_once():
    folders = [folder for package in PACKAGES for folder in (ROOT / package).rglob("*") if folder.is_dir()]
    modules = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}

    assert {folder: count for folder, count in modules.items() if count > 22} == {}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of a circle, each imported by the next and the first at both ends; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def imports_of_files(root: Path, packages: list[str] | tuple[str, ...]) -> dict[str, set[str]]:
    """Return which modules of the packages each of them imports, in whatever part of its file."""
    files = {module_of(file.relative_to(root)): file for package in packages for file in (root / package).rglob("*.py")}
    return {
        module: {target for name in names_in(module, file) for target in existing(name, files)} - {module}
        for module, file in files.items()
    }


def module_of(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_in(module: str, file: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, be it a module or something of one."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in statements_in(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            origin = [*around, *([node.module] if node.module else [])]
            yield from (".".join([*origin, alias.name]) for alias in node.names)


def statements_in(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every statement, at any depth; an expression, of which there are many more, imports nothing."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            pending += getattr(node, field, ())


def existing(name: str, files: dict[str, Path]) -> set[str]:
    """Return the module that a name is, or else the one that it is taken from."""
    return {name} & files.keys() or {name.rpartition(".")[0]} & files.keys()
