"""Steps of past runs as tests: replayed from a bundle, with their functions as they are today."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from lucas_storage import settings, signing
from lucas_storage.bundles.import_run import import_bundle
from lucas_storage.containers import apart
from lucas_storage.errors import FunctionLoadError
from lucas_storage.records import run_history
from lucas_storage.refs import ArtifactRef
from lucas_storage.replay.replay import Replay, replay
from lucas_storage.replay.selection import step_of
from lucas_storage.replay.today import as_today, shim_in
from lucas_storage.shipping.shim import Shim
from lucas_storage.signing import SigningKeys
from lucas_storage.storage import Storage

__all__ = ["replayed"]


def replayed(
    bundle: str | os.PathLike[str], function: Any, step: str | None = None, *, pickles: Collection[str] = ()
) -> Replay:
    """Run a step of a bundle again with its function as it is today, and return whether the result is the same.

    The bundle is imported into the store of the settings in force, such as those of the fixture ``storage``. The result
    is compared and not kept.

    Args:
        bundle: A file that ``lucas-storage replay --pytest`` or ``export`` wrote.
        function: What ``@function`` or ``@with_storage`` made, or ``FILE:NAME`` or ``MODULE:NAME`` of it.
        step: A step of the run, as ``lucas-storage replay`` takes it; None for the only one of the bundle.
        pickles: Digests (``sha256:…``) of the pickles that the step takes and the caller vouches for: to open one runs
            the code in it. No other one is opened, whatever the bundle says.

    Raises:
        BundleError: The file is no bundle, or is damaged.
        FunctionLoadError: The function is not there.
        UnsafeFormatError: The step takes a pickle that `pickles` does not name, or there is no signing key.
        Exception: Whatever the step raises, as it is.
    """
    with Storage() as storage:
        contents = import_bundle(storage, Path(bundle)).contents
        run = run_history.find(storage, contents.run)
        keys = [entry.name.rpartition("/")[2].removesuffix(".json") for entry in contents.records]
        keys = [key for key in keys if key != "run"]
        chosen = step_of(run, step or (keys[0] if len(keys) == 1 else None))
        # In memory alone: no record says that a user vouches for a pickle of a bundle.
        chosen = replace(chosen, given=_signed(chosen.given, pickles, settings.resolve().signing_keys))
        if isinstance(function, str):
            with as_today(storage, chosen, function) as found:
                return replay(run, chosen, found, today=True)
        return replay(run, chosen, _shim(function), today=True)


def _shim(function: Any) -> Shim:
    found = shim_in(function)
    if found is None:
        raise FunctionLoadError(f"{function!r} is no function with @with_storage; pass what the decorators made")
    return found


def _signed(value: Any, digests: Collection[str], keys: SigningKeys) -> Any:
    """Return data with those references signed whose digests are among some."""
    if type(value) is ArtifactRef:
        return signing.sign(value, keys) if value.digest in digests else value
    parts = apart(value)
    return value if parts is None else parts.make([_signed(child, digests, keys) for child in parts.children])
