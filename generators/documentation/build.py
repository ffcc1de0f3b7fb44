"""Build the documentation site from the Markdown files of the repository; run by ``make docs``.

The pages are the files as they are read in the repository. What they link to outside of ``docs/`` gets pages as well:
the site needs neither a network nor the repository. The reference is made of docstrings and of the .proto files.

    python generators/documentation/build.py [TARGET]

TARGET is the folder to write into, ``build/site`` by default; the pages it is made of are written beside it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import protocol_page
import python_pages
from linked_pages import linked_pages

ROOT: Final = Path(__file__).resolve().parents[2]
CONFIGURATION: Final = Path(__file__).with_name("zensical.toml")
THEME: Final = Path(__file__).with_name("theme")


def build(target: Path) -> str:
    """Write the site into `target`, and return what the builder said.

    Raises:
        SystemExit: The builder failed or warned, and the text is what it said; or a folder is in the way.
    """
    project = target.with_name(f"{target.name}-pages")
    made = {target: "reference", project: "docs"}
    for folder, part in made.items():
        check_own(folder, part)
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
    stage(project)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603
    said = built.stdout + built.stderr
    if built.returncode or "warning" in said.lower():
        raise SystemExit(said)
    shutil.move(project / "site", target)
    return said


def check_own(folder: Path, part: str) -> None:
    """Check that a folder may be replaced: an earlier build made it, or there is nothing in it.

    Args:
        folder: Any path.
        part: A folder that every one of an earlier build has.

    Raises:
        SystemExit: It may not.
    """
    if folder.exists() and not (folder.is_dir() and (folder.joinpath(part).is_dir() or not any(folder.iterdir()))):
        raise SystemExit(f"{folder} would be replaced, and is no earlier site; name another folder, or remove it")


def stage(project: Path) -> None:
    """Write the configuration and all pages that a site is made of into `project`."""
    pages: Mapping[str, str | bytes] = {
        **linked_pages(ROOT),
        **{f"reference/{name}.md": text for name, text in python_pages.pages().items()},
        **{f"reference/{name}.md": text for name, text in protocol_page.pages(ROOT / "protos").items()},
    }
    for name, content in pages.items():
        path = project / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    # the sources that docstrings are read from; the builder looks for them in its own folder
    for package in ("actorc", "lucas_storage"):
        (project / package).symlink_to(ROOT / package)
    shutil.copy(CONFIGURATION, project / "zensical.toml")
    shutil.copytree(THEME, project / "theme")


def main() -> None:
    """Build into the folder named on the command line."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    build(target)
    sys.stdout.write(f"the site is in {target}; open {target / 'index.html'}\n")


if __name__ == "__main__":
    main()
