"""What a wheel brings beside the two packages."""

from __future__ import annotations

import zipfile

import pytest

pytestmark = pytest.mark.slow


def test_a_wheel_has_the_plugin_for_pytest_and_the_types_of_lucas(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())

    assert names >= {"_lucas_storage_pytest.py", "lucas-stubs/__init__.pyi", "lucas-stubs/py.typed"}
    assert names >= {"actorc/py.typed", "lucas_storage/py.typed"}
