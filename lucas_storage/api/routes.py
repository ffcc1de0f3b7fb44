"""All routes of the plugin, as the entry point names them."""

from __future__ import annotations

from actorc.storage.server.api.routes import Route

from .artifact_routes import artifact_routes
from .diff_routes import diff_routes
from .gc_routes import gc_routes
from .name_routes import name_routes
from .provenance_routes import provenance_routes
from .run_events import event_routes
from .run_routes import run_routes


def routes() -> list[Route]:
    """Return the routes about runs, artifacts, names and collection."""
    return [
        *run_routes(),
        *event_routes(),
        *diff_routes(),
        *artifact_routes(),
        *provenance_routes(),
        *name_routes(),
        *gc_routes(),
    ]
