"""Writes a test that replays a step with its function as it is today, and a bundle with the artifacts that it needs."""

from __future__ import annotations

import errno
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lucas_storage import settings, signing
from lucas_storage.bundles.export import export
from lucas_storage.bundles.reached import reached
from lucas_storage.errors import UnsafeFormatError, UnsupportedError
from lucas_storage.formats import format_by_id
from lucas_storage.records import record_text
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import SigningKeys
from lucas_storage.storage import Storage

from .replay import Replay, inputs_of, replay
from .today import as_today, place_of

_NO_NAME: Final = re.compile(r"\W+", re.ASCII)
_TEXT: Final = '''"""A step as run {run} recorded it on {date}, replayed with its function as it is today.

Written by 'lucas-storage replay --pytest'. Its inputs and its result are in {bundle}, beside this file.
"""

from pathlib import Path

from lucas_storage.testing import replayed

HERE = Path(__file__).parent


def test_{name}_returns_what_it_returned(storage):
    outcome = replayed(HERE / {literal}, {place}{pickles})

    assert outcome.is_identical, str(outcome)
'''


def write(
    storage: Storage, run: PastRun, step: PastStep, path: Path, *, place: str | None = None, replace: bool = False
) -> tuple[Path, Replay]:
    """Write a test and, beside it, a bundle under the same name; return the bundle's path, and how the test will end.

    The test needs the fixture ``storage`` of the plugin for pytest, and neither the store nor a key. It names the
    digests of the pickles that the step takes, each of which a key of this process signed; it opens no other one.

    Args:
        storage: Its default bucket has the record of the run.
        run: The run.
        step: A step of it that succeeded.
        path: The file of the test.
        place: Where the function is today, as `as_today` takes it.
        replace: Whether files are replaced.

    Raises:
        FileExistsError: There is such a file, and `replace` is False.
        UnsupportedError: The step failed, its inputs are not recorded, or one of them is a pickle that no key of this
            process signed, or that another artifact refers to.
        FunctionLoadError: The function is not there today.
        Exception: Whatever the function raises today.
    """
    bundle = path.with_suffix(".zip")
    if path.exists() and not replace:
        raise FileExistsError(
            errno.EEXIST, "exists already; add --force to replace it, or name another file", str(path)
        )
    pickles = _pickles(storage, step)
    where, name = place_of(storage, step, place)
    with as_today(storage, step, place) as found:  # before anything is written: a test that cannot run is none
        outcome = replay(run, step, found, today=True)
    export(storage, run, bundle, replace=replace, only=step)
    text = _TEXT.format(
        run=run.key,
        date=f"{datetime.fromtimestamp(step.started, UTC):%Y-%m-%d}",
        bundle=bundle.name,
        literal=_literal(bundle.name),
        name=_NO_NAME.sub("_", step.function),
        place=_place_text(where, name, path),
        pickles=_pickles_text(pickles),
    )
    path.write_text(text, encoding="utf-8")
    return bundle, outcome


def _pickles(storage: Storage, step: PastStep) -> list[str]:
    """Return the digests of the pickles that a step takes, all of which a key of this process signed."""
    if step.error is not None:
        raise UnsupportedError(f"the step {step.function!r} failed, so that there is no result to compare with")
    inputs_of(step, {})
    given, keys = list(record_text.refs_in(step.given)), settings.resolve().signing_keys
    direct = {ref.digest: None for ref in given if not format_by_id(ref.format).safe and _is_signed(step, ref, keys)}
    for source in reached(storage, given, {}).sources.values():
        is_pickle = source.entry.kind != "part" and not format_by_id(source.ref.format).safe
        if is_pickle and source.entry.digest not in direct:  # its signature stands in an artifact, and stays as it is
            raise UnsupportedError(
                f"the step {step.function!r} takes data that refer to a pickle, which only a holder of the signing key "
                "reads; replay it here, or let the step before return that object itself"
            )
    return [digest for digest in direct if digest]


def _is_signed(step: PastStep, ref: ArtifactRef, keys: SigningKeys) -> bool:
    """Return True, or raise if no key of this process signed a pickle."""
    try:
        signing.verify(ref, keys)
    except UnsafeFormatError as error:
        raise UnsupportedError(
            f"the step {step.function!r} takes a pickle that nobody vouches for here ({error.message}); write the test "
            "with the key of the run"
        ) from error
    return True


def _pickles_text(digests: list[str]) -> str:
    """Return the argument that names pickles; nothing where there are none."""
    return f", pickles={{{', '.join(map(_literal, digests))}}}" if digests else ""


def _place_text(where: str, name: str, test: Path) -> str:
    """Return the expression of a place: of a file relative to the test, so that both can move together."""
    if not where.endswith(".py"):
        return _literal(f"{where}:{name}")
    return f"str(HERE / {_literal(os.path.relpath(where, test.absolute().parent))}) + {_literal(f':{name}')}"


def _literal(text: str) -> str:
    """Return a literal of Python, in double quotes."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
