"""Documents run: every Python block against a server of its own, every command line in a fresh folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "docs" / "specification.zh.md"
"""Not ours to word; `test_specification` runs it."""
DOCUMENTS = [*ROOT.glob("README*.md"), *{*(ROOT / "docs").rglob("*.md")} - {SPECIFICATION}]
TRANSLATIONS = [path for path in sorted(DOCUMENTS) if re.search(r"\.zh(-CN)?\.md$", path.name)]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SETUP = ("make ", "python3 -m venv", ".venv/bin/", "git clone", "cd ")
"""Commands that install; continuous integration runs them, in a fresh copy, as they are printed."""
FILE = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A block that a document gives a name, for the commands behind it."""


FIRST_STEPS = re.compile(r"^## First steps\n.*?^## ", re.DOTALL | re.MULTILINE)
"""The section whose blocks belong together; `test_first_steps` runs it."""


def blocks(document, *kinds):
    return [code for kind, code in BLOCK.findall(FIRST_STEPS.sub("## ", document.read_text())) if kind in kinds]


def documents_with(*kinds, quick=()):
    """Return the documents with something to run; a translation repeats what the original has.

    Those that are not quick run with all other heavy tests.
    """
    originals = [path for path in sorted(set(DOCUMENTS) - set(TRANSLATIONS)) if blocks(path, *kinds)]
    heavy = pytest.mark.ecosystem
    return [pytest.param(path, id=path.name, marks=[] if path.name in quick else [heavy]) for path in originals]


def environment(**extra):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, **extra}


def test_every_block_says_what_it_is():
    kinds = {(path.name, kind) for path in DOCUMENTS for kind, _ in BLOCK.findall(path.read_text())}

    assert {kind for _, kind in kinds} <= {"python", "ipython", "console", "text", "toml", "proto", "javascript"}, kinds


@pytest.mark.slow
@pytest.mark.parametrize("document", documents_with("python", quick=["README.md"]))
def test_the_python_blocks_of_a_document_run(document, tmp_path):
    for number, code in enumerate(blocks(document, "python")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "block.py").write_text(code)
        (folder / "weather.csv").write_bytes((ROOT / "examples" / "data" / "seattle-weather.csv").read_bytes())
        with local_server() as server:
            ran = subprocess.run(
                [sys.executable, "-m", "lucas_storage.cli", "run", "block.py"],
                cwd=folder,
                env=environment(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_SIGNING_KEY="made-for-this-test-alone"),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        assert ran.returncode == 0, f"block {number} of {document.name}\n{code}\n{ran.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("document", documents_with("console"))
def test_the_command_lines_of_a_document_run(document, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "weather.csv").write_bytes((ROOT / "examples" / "data" / "seattle-weather.csv").read_bytes())
    for name, code in FILE.findall(document.read_text()):
        (tmp_path / name).write_text(code)
    lines = [line[2:] for code in blocks(document, "console") for line in code.splitlines() if line.startswith("$ ")]
    commands = [line for line in lines if not line.startswith(SETUP)]
    script = "set -e\n" + "\n".join(commands)
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def headings(text):
    """Return the level of each heading; a comment in a block is none."""
    return [len(marks) for marks in re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)]


def tables(text):
    """Return how many cells each row of the tables has."""
    rows = re.findall(r"^\|(.*)\|$", BLOCK.sub("", text), re.MULTILINE)
    return [len(re.split(r"(?<!\\)\|", row)) for row in rows]


def points(text):
    """Return how many points the lists have."""
    return len(re.findall(r"^ *(?:[*-]|\d{1,2}\.) ", BLOCK.sub("", text), re.MULTILINE))


def files_linked(path):
    """Return the files that a document links to, in either language, beside its own other one."""
    targets = {re.sub(r"\.zh(-CN)?\.md$", ".md", name) for name in re.findall(r"\]\(([^)#:]+)", path.read_text())}
    return {name for name in targets if not name.endswith(("/README.md", "specification.md", ".png", ".svg"))} - {
        re.sub(r"\.zh(-CN)?\.md$", ".md", path.name)
    }


def test_every_decision_is_listed_by_its_subject_and_by_its_number():
    folder = ROOT / "docs" / "adr"
    _, by_subject, by_number = re.split("^## By .*$", (folder / "README.md").read_text(), flags=re.MULTILINE)
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))

    assert sorted(re.findall(r"\]\(([^)]+)\)", by_subject)) == pages
    assert re.findall(r"\]\(([^)]+)\)", by_number) == pages


def modules_named(path):
    """Return the paths of our modules in the text of a document, whole or from some folder on."""
    named = re.findall(r"`([\w/]+/\w+\.py)`", BLOCK.sub("", path.read_text()))
    return {name for name in named if "/_actorc/" not in name}  # where an installation has its copies


def test_every_module_that_a_document_names_is_there():
    folders = ("actorc", "benchmarks", "examples", "generators", "lucas_storage", "requirements", "tests")
    there = [f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.py")]
    # that page lists scripts of other repositories
    documents = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "docs" / "compatibility.md"}
    missing = {
        (document.name, name)
        for document in documents
        for name in modules_named(document)
        if not any(path.endswith("/" + name) for path in there)
    }

    assert missing == set()


@pytest.mark.parametrize("chinese", TRANSLATIONS, ids=lambda path: path.name)
def test_a_document_in_chinese_keeps_step(chinese):
    english = chinese.with_name(re.sub(r"\.zh(-CN)?\.md$", ".md", chinese.name))

    assert BLOCK.findall(chinese.read_text()) == BLOCK.findall(english.read_text())
    assert headings(chinese.read_text()) == headings(english.read_text())
    assert tables(chinese.read_text()) == tables(english.read_text())
    assert points(chinese.read_text()) == points(english.read_text())
    assert files_linked(chinese) == files_linked(english)


@pytest.mark.parametrize("chinese", TRANSLATIONS, ids=lambda path: path.name)
def test_a_document_in_chinese_leads_to_documents_in_chinese(chinese):
    links = re.findall(r"(?<!!)\[([^\]]*)\]\(([^)#:]+\.md)", BLOCK.sub("", chinese.read_text()))
    others = {name for label, name in links if label != "English" and ".zh" not in name}

    assert {name for name in others if (chinese.parent / name).with_suffix(".zh.md").exists()} == set()


def anchors(path):
    """Return what GitHub calls each heading of a document."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_heading_in_a_document_leads_there():
    broken = [
        (path.name, f"{target}#{anchor}")
        for path in DOCUMENTS
        for target, anchor in re.findall(r"\]\(([^)#:]*(?:\.md)?)#([^)]*)\)", BLOCK.sub("", path.read_text()))
        if anchor not in anchors(path.parent / target if target else path)
    ]

    assert broken == []


def test_every_link_between_documents_leads_somewhere():
    broken = [
        (path.name, target)
        for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]

    assert broken == []
