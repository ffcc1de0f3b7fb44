"""The pages by their names in addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .routes import access_keys, names, objects, overview, runs
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
    "access": access_keys.access_keys,
    "key": access_keys.access_key,
}

FORMS: Final[Mapping[str, Route]] = {"access": access_keys.add_access_key, "key": access_keys.change_access_key}
"""Does what the forms of a page are for, likewise."""
