"""`gc`: finds and removes artifacts to which nothing refers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, get_args

import click

from actorc.storage.units import shown_size
from lucas_storage import settings
from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.output.exit_codes import FAILED
from lucas_storage.cli.printing import printable, shown_time
from lucas_storage.cli.quantities import DURATION
from lucas_storage.cli.session import Session, reading
from lucas_storage.gc.collect import Amount, Collection, collect
from lucas_storage.gc.keepers import Keeper
from lucas_storage.gc.plan import FateState, Plan


@click.command()
@click.option("--delete", is_flag=True, help="Remove what an earlier 'gc --delete' marked, and mark what is new.")
@click.option(
    "--grace",
    type=DURATION,
    metavar="TIME",
    help="Spare what was stored within this time; else LUCAS_STORAGE_GRACE, 48h.",
)
@click.option(
    "--ttl",
    type=DURATION,
    metavar="TIME",
    help="How long records of runs, steps and cached results count; else LUCAS_STORAGE_TTL, 30d.",
)
@click.option(
    "--quiescent",
    is_flag=True,
    help="No workflow runs until this is done. Needed by --delete where the store removes without a condition only.",
)
@click.option("-l", "--long", is_flag=True, help="List every object, and what keeps it or that nothing does.")
@reading
def gc(session: Session, *, delete: bool, grace: float | None, ttl: float | None, quiescent: bool, long: bool) -> None:
    """Find artifacts that nothing refers to, and remove them if told so.

    What is published under a name stays, and so does what cached results, runs and checkpoints refer to, as long as
    they count. Removing takes two collections: one marks, and the next removes what is still not referred to.
    """
    present = settings.resolve(grace=grace, ttl=ttl)
    with artifacts(session) as storage:
        done = collect(
            storage,
            grace=present.grace.value,
            ttl=present.ttl.value,
            now=time.time(),
            delete=delete,
            quiescent=quiescent,
        )
    # Printed before the exit code is decided: the counts say what was left undone.
    session.emit(_record(done, long=long), "\n".join([*(_objects(done.plan) if long else []), _text(done)]))
    if done.problems:
        raise click.exceptions.Exit(FAILED)


def _record(done: Collection, *, long: bool) -> dict[str, Any]:
    record = asdict(replace(done, plan=Plan(objects=(), expired=(), stale=(), problems=())))
    del record["plan"]
    return (
        {**record, "objects": [{**asdict(fate), "reason": fate.reason} for fate in done.plan.objects]}
        if long
        else record
    )


def _objects(found: Plan) -> Iterator[str]:
    for state in get_args(FateState):
        for fate in found.having(state):
            until = _until(fate.keeper)
            head = f"{state:<9} {shown_size(fate.size):>10}  {shown_time(fate.stored_at)}  {printable(fate.key)}"
            yield f"{head}  {printable(fate.reason)}{until}"


def _until(keeper: Keeper | None) -> str:
    if keeper is None or keeper.until is None:
        return ""
    return f", until {shown_time(datetime.fromtimestamp(keeper.until, UTC))}"


def _text(done: Collection) -> str:
    lines = [
        f"{_shown(done.reached)} in use",
        f"{_shown(done.young)} not in use, but younger than the grace period",
        f"{_shown(done.marked)} not in use, {'marked' if done.deleting else 'to be marked by --delete'}",
        f"{_shown(done.removed)} removed" if done.deleting else f"{_shown(done.due)} to be removed by --delete",
        f"{done.expired:>9} records whose time is over{', removed' if done.deleting and not done.problems else ''}",
    ]
    lines += [f"cannot be read: {printable(key)}" for key in done.problems]
    if done.problems:
        lines.append("Nothing was removed, since nobody knows what these refer to; mend them or remove them.")
    return "\n".join(lines)


def _shown(amount: Amount) -> str:
    return f"{amount.objects:>9} objects {shown_size(amount.size):>10}"
