"""Say so at once where a Python is too old, free-threaded, or not the one that was chosen; run by make at first.

    PYTHON supported.py [VENV]

VENV, where there is one already, must have been made with the same Python as runs this file.
"""

import re
import sys
import sysconfig
from pathlib import Path

OLDEST = (3, 11)


def complaint(venv: str) -> "str | None":
    """Return what is wrong and what to do, in a form that Python 3.6 can run."""
    here = sys.version_info[:2]
    if here < OLDEST:
        return (
            f"{sys.executable} is Python {_dotted(here)}, and {_dotted(OLDEST)} or newer is needed. If it is that of a "
            f"virtual environment here, remove that; else choose another, as in 'make PYTHON=python{_dotted(OLDEST)}'."
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return (
            f"{sys.executable} is free-threaded, for which gRPC has no wheels; choose the build with the lock, as in "
            f"'make PYTHON=python{_dotted(here)}'."
        )
    made_with = re.search(r"^version *= *(\d+)\.(\d+)", _text(Path(venv, "pyvenv.cfg")), re.MULTILINE)
    if venv and made_with and tuple(map(int, made_with.groups())) != here:
        return (
            f"{venv} was made with Python {'.'.join(made_with.groups())}, and {_dotted(here)} is chosen. Remove it, or "
            f"name another, as in 'make PYTHON=python{_dotted(here)} VENV={venv}-{_dotted(here)}'."
        )
    return None


def _dotted(version: "tuple[int, ...]") -> str:
    return ".".join(map(str, version))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(complaint(sys.argv[1] if len(sys.argv) > 1 else ""))
