"""The tests that ``docs/testing.md`` shows pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "testing.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.few(1)
@pytest.mark.parametrize("number", range(len(BLOCK.findall(DOCUMENT.read_text()))))
def test_the_tests_of_a_block_pass(passed, number):
    code = BLOCK.findall(DOCUMENT.read_text())[number]

    passed(code, len(re.findall(r"^def test_", code, re.MULTILINE)))
