"""No property test fails because the machine is slow."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parents[1]


def test_no_example_has_a_deadline():
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_no_test_sets_a_deadline_of_its_own():
    setting = re.compile(r"settings\([^)]*\bdeadline=|\bsettings\.deadline\b *=")
    found = [str(path) for path in TESTS.rglob("*.py") if path != Path(__file__) and setting.search(path.read_text())]

    assert found == []
