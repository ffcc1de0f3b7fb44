"""The pictures that are drawn by a program are as it draws them, and tell those who do not see them what they show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([sys.executable, ROOT / "generators" / "architecture_picture.py", folder], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", ["architecture.svg", "architecture-zh.svg"])
def test_the_architecture_is_as_it_is_drawn(drawn, name):
    assert (drawn / name).read_text() == (ROOT / "docs" / "pictures" / name).read_text(), "run make pictures"


@pytest.mark.parametrize("name", ["architecture.svg", "architecture-zh.svg"])
def test_the_architecture_is_told_in_words_as_well(drawn, name):
    root = ET.parse(drawn / name).getroot()

    assert root.get("aria-labelledby") == "title about"
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc")) > 50
