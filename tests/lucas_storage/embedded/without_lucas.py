"""Hides genuine Lucas from the process that imports this, for tests of what happens where it is absent."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:] = [folder for folder in sys.path if not Path(folder, "lucas", "workflow").is_dir()]
# How editable installs are found; what the tests need is on the path as well.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")
]
