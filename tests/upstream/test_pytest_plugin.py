"""pytest in an environment with our wheel: its own finder takes no module of ours, and nothing is warned of."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

TEST = """
import actorc.storage
import lucas_storage
from lucas import function
from lucas_storage import with_storage
from lucas_storage.testing import call


@function
@with_storage
def measure(data: bytes) -> int:
    return len(data)


def test_it(storage):
    assert "rewrite" not in type(lucas_storage.__loader__).__module__
    assert hasattr(actorc.storage, "AsyncStorageClient")
    assert call(measure, b"value" * 2000) == 10_000
"""

RUN = """
import pytest
print(int(pytest.main(["-q", "-W", "error", "-p", "no:cacheprovider", "--basetemp={folder}/base", "{folder}"])))
"""


@pytest.mark.parametrize("kind", ["ours_alone", "overwritten"])
def test_a_test_uses_our_modules_whatever_was_installed_last(request, kind, tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    site = request.getfixturevalue(kind)
    said = site.run(RUN.format(folder=tmp_path))

    assert "1 passed" in said
    assert said.splitlines()[-1] == "0"
