"""Routes that installed packages bring, found by their entry points."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Any, Final

from .routes import Route

log = logging.getLogger(__name__)

GROUP: Final = "lucas_storage.api_routes"
"""Group of entry points; each is a function that returns a list of `Route`. For ever."""


def installed_routes() -> list[Route]:
    """Return the routes of all installed packages; of one that cannot be loaded the log has the reason."""
    return [route for point in entry_points(group=GROUP) for route in _loaded(point)]


def _loaded(point: Any) -> list[Route]:
    try:
        return list(point.load()())
    except Exception:
        # the rest of the API works without that package
        log.exception("the routes of %s cannot be loaded, so the API is without them", point.value)
        return []
