"""Finds a browser for the tests, or installs one: Playwright's own, or that of Debian where root may install packages.

    python tests/lucas_storage/ui/chromium.py

prints where it is, or why there is none, and then fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM = ("chromium", "chromium-browser", "google-chrome")
"""Names of browsers that systems install."""


def found():
    """Return the path of a browser; None if there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return str(own) if own.exists() else next(filter(None, map(shutil.which, SYSTEM)), None)


def install():
    """Install a browser; return why that failed, or an empty text."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        commands += [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]]
    for command in commands:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if found():
            return ""
    return (ran.stderr.strip() or ran.stdout.strip()).rpartition("\n")[2]


if __name__ == "__main__":
    reason = "" if found() else install()
    sys.exit(f"no browser can be had: {reason}" if reason else print(found()))
