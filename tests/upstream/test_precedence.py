"""Our modules are found, and upstream's beside them, whichever was installed last."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.upstream.conftest import OURS

ROOT = Path(__file__).parents[2]

THEIRS = """
import actorc.executor, actorc.utils
print(actorc.utils.NAME)
"""

pytestmark = pytest.mark.slow


def test_a_wheel_alone_is_whole(ours_alone):
    assert ours_alone.run(OURS) == "True True"
    assert ours_alone.run("import actorc.storage; print(actorc.storage.__file__)").startswith(
        str(ours_alone.folder / "actorc")
    )


def test_both_work_when_ours_was_installed_last(site, stand_in):
    site.install(stand_in)
    site.install_ours()

    assert site.run(OURS + THEIRS) == "True True\nupstream"


def test_both_work_when_upstreams_was_installed_last(overwritten):
    assert overwritten.run(OURS + THEIRS) == "True True\nupstream"


def test_ours_works_after_upstreams_was_uninstalled_with_the_files_it_had_overwritten(site, stand_in):
    site.install_ours()
    for file in ("__init__.py", "storage/__init__.py", "storage/client.py", "controller/context.py"):
        (site.folder / "actorc" / file).unlink()

    assert site.run(OURS) == "True True"


def test_both_work_when_upstreams_lies_elsewhere_on_the_path(ours_alone, stand_in):
    assert ours_alone.run(OURS + THEIRS, PYTHONPATH=str(stand_in.parent)) == "True True\nupstream"


def test_the_plugin_brings_our_storage_to_a_process_that_has_imported_upstreams_package(not_started):
    assert not_started.run("import actorc.executor, lucas_storage" + OURS) == "True True"


def test_the_plugin_refuses_a_process_that_has_imported_the_mock(not_started):
    code = """
import actorc.storage
try:
    import lucas_storage
except ImportError as error:
    print(error)
"""

    assert "upstream's mock, which stores nothing" in not_started.run(code)


def test_the_plugin_says_so_where_python_did_not_run_its_file_at_the_start(not_started):
    said = not_started.run(
        "import warnings; warnings.simplefilter('error')\ntry: import lucas_storage\n"
        "except RuntimeWarning as warning: print(warning)"
    )

    assert f"finds {not_started.folder}/actorc/storage/__init__.py, which is upstream's mock" in said


def test_the_plugin_refuses_to_work_where_nothing_but_the_mock_is_left(site, stand_in):
    site.install_ours()
    site.install(stand_in)
    shutil.rmtree(site.folder / "lucas_storage" / "_actorc")
    said = site.run("try: import lucas_storage\nexcept ImportError as error: print(error)")

    assert f"the actorc.storage at {site.folder}/actorc/storage/__init__.py is not that of lucas-storage" in said


def test_an_installation_brings_a_start_file_that_says_the_same_as_its_pth_file(ours_alone):
    """PEP 829: one ``pkg.mod:callable`` a line, which takes the place of the line in the file beside it."""
    (entry,) = (ours_alone.folder / "lucas_storage_precedence.start").read_text().splitlines()
    module, _, name = entry.partition(":")
    code = f"import {module}; {module}.{name}()"

    assert (ours_alone.folder / "lucas_storage_precedence.pth").read_text().strip() == code
    assert ours_alone.run(f"import pkgutil; print(callable(pkgutil.resolve_name({entry!r})))") == "True"


def test_an_editable_installation_brings_the_same_two_files(tmp_path):
    pytest.importorskip("hatchling", reason="it builds an editable installation")
    code = f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT, timeout=120)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())

    assert {"lucas_storage_precedence.pth", "lucas_storage_precedence.start"} <= names


def test_the_start_of_python_imports_nothing_for_it(ours_alone):
    code = "import sys; print(sorted(name for name in sys.modules if name.startswith(('actorc', 'lucas'))))"

    assert ours_alone.run(code) == "[]"


def test_a_checkout_on_the_path_is_found_before_what_is_installed(stand_in):
    command = [sys.executable, "-c", OURS + THEIRS]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(stand_in.parent)}
    )

    assert done.stdout.strip() == "True True\nupstream"
