"""Formats of other installed packages, found through the entry point group ``lucas_storage.formats``.

The names of its entry points are format ids; importing one registers the format.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "lucas_storage.formats"

logger = logging.getLogger(__name__)


def load_installed(wanted: Callable[[str], bool], known: Container[str]) -> None:
    """Import entry points, which register formats; one that cannot be imported is skipped with a warning.

    Args:
        wanted: Returns whether the format of an id is needed: importing all would load packages that no value needs.
        known: Ids of formats that are registered already.
    """
    for point in entry_points(group=GROUP):
        if point.name in known or not wanted(point.name):
            continue
        try:
            point.load()
        except Exception as error:  # noqa: BLE001  # foreign code at import; its format stays unknown
            logger.warning("the format %s of %s cannot be imported, %s", point.name, point.value, error)
