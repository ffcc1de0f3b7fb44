"""The pages by their names in addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .routes import names, objects, overview, runs
from .routes.request import Route

ROUTES: Final[Mapping[str, Route]] = {
    "": overview.overview,
    "buckets": objects.buckets,
    "objects": objects.listing,
    "object": objects.stored_object,
    "artifact": objects.artifact,
    "uses": objects.uses,
    "runs": runs.run_list,
    "run": runs.run,
    "step": runs.step,
    "diff": runs.diff,
    "names": names.names,
    "garbage": names.garbage,
    "access": names.access_keys,
}
