"""`gc`: finds and removes artifacts to which nothing refers."""

from __future__ import annotations

import gc as cycles
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

import click

from actorc.storage.units import shown_size
from lucas_storage import settings
from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.output.exit_codes import FAILED
from lucas_storage.cli.printing import printable, shown_time
from lucas_storage.cli.quantities import DURATION
from lucas_storage.cli.retention_options import retention_options
from lucas_storage.cli.session import Session, reading
from lucas_storage.gc.collect import Amount, Collection, collect
from lucas_storage.gc.keepers import Keeper
from lucas_storage.gc.plan import FateState, Plan
from lucas_storage.gc.policy import NO_POLICY, Policy, policy_of, readable_policy, stored_policy

_POLICY: Final = "policy"
_OBEYS: Final = (
    "the store has a policy, {}, and --delete obeys it; look at another one without --delete, and make it that of the "
    "store by 'lucas-storage gc policy set'"
)
_KINDS: Final = {
    "name": "publications",
    "run": "records of runs",
    "memo": "cached results",
    "checkpoint": "checkpoints",
}


class _Gc(click.Command):
    """The command `gc`, which takes no arguments, and the group `gc policy`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments, by the group `policy` if it is the first."""
        if args[:1] == [_POLICY]:
            from lucas_storage.cli.commands.gc_policy import policy  # noqa: PLC0415  # loaded where it is asked for

            return policy.make_context(f"{info_name} {_POLICY}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_Gc)
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
    help="How long records of runs, steps and cached results count; else the policy, LUCAS_STORAGE_TTL, 30d.",
)
@retention_options
@click.option(
    "--quiescent",
    is_flag=True,
    help="No workflow runs until this is done. Needed by --delete where the store removes without a condition only.",
)
@click.option("-l", "--long", is_flag=True, help="List every object and record, and what keeps it or why nothing does.")
@reading
def gc(
    session: Session,
    *,
    delete: bool,
    grace: float | None,
    ttl: float | None,
    keep_days: int | None,
    keep_last: tuple[str, ...],
    quiescent: bool,
    long: bool,
) -> None:
    """Find artifacts that nothing refers to, and remove them if told so.

    What is published under a name stays, and so does what cached results, runs and checkpoints refer to, as long as
    they count. Removing takes two collections: one marks, and the next removes what is still not referred to.

    --keep-days and --keep-last tell what another policy would do, in place of the whole policy of the store, if it has
    one. Then --delete obeys that alone: 'gc policy set' changes it, see 'lucas-storage gc policy --help'.
    """
    if ttl is not None and keep_days is not None:
        raise click.UsageError("--ttl and --keep-days say the same; give one of them")
    present = settings.resolve(grace=grace, ttl=ttl)
    given = policy_of(keep_days, keep_last)
    with artifacts(session) as storage:
        # One that cannot be read stops what deletes, whatever the options say.
        stored = readable_policy(storage) if given != NO_POLICY and not delete else stored_policy(storage)
        policy = given if given != NO_POLICY else stored
        policy = policy if ttl is None else policy.without_days()
        if delete and policy != stored != NO_POLICY:
            raise click.UsageError(_OBEYS.format(stored))
        with _no_look_for_cycles():
            done = collect(
                storage,
                grace=present.grace.value,
                ttl=present.ttl.value,
                policy=policy,
                delete=delete,
                quiescent=quiescent,
            )
    # Printed before the exit code is decided: the counts say what was left undone.
    told = _text(done, stored)
    session.emit(_record(done, long=long), "\n".join([*(_objects(done.plan) if long else []), told]))
    if done.problems:
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _no_look_for_cycles() -> Iterator[None]:
    """Keep Python from looking for cycles of garbage within the block, which makes a great many objects and no cycle.

    That takes a third of the time of a plan, and more the more runs there are.
    """
    was_enabled = cycles.isenabled()
    cycles.disable()
    try:
        yield
    finally:
        if was_enabled:
            cycles.enable()


def _record(done: Collection, *, long: bool) -> dict[str, Any]:
    record = asdict(replace(done, plan=Plan(objects=(), expired=(), stale=(), problems=())))
    del record["plan"]
    found = done.plan
    more = {
        "policy": done.policy.to_json(),
        "reached_by": {kind: asdict(Amount.of(fates)) for kind, fates in found.kept_by().items()},
        "expired_by": {kind: asdict(Amount.of(records)) for kind, records in found.expired_by_kind().items()},
    }
    listed = {
        "objects": [{**asdict(fate), "reason": fate.reason} for fate in found.objects],
        "expired_records": [{**asdict(each), "reason": each.reason} for each in found.expired],
    }
    return {**record, **more, **(listed if long else {})}


def _objects(found: Plan) -> Iterator[str]:
    for state in get_args(FateState):
        for fate in found.having(state):
            until = _until(fate.keeper)
            head = f"{state:<9} {shown_size(fate.size):>10}  {shown_time(fate.stored_at)}  {printable(fate.key)}"
            yield f"{head}  {printable(fate.reason)}{until}"
    for each in found.expired:
        yield f"expired   {shown_size(each.size):>10}  {printable(each.keeper.record)}  {printable(each.reason)}"


def _until(keeper: Keeper | None) -> str:
    if keeper is None or keeper.until is None:
        return ""
    return f", until {shown_time(datetime.fromtimestamp(keeper.until, UTC))}"


def _text(done: Collection, stored: Policy) -> str:
    over = ", removed" if done.deleting and not done.problems else ""
    lines = [
        f"{_shown(done.reached)} in use",
        *(f"{_shown(Amount.of(each))}   by {_KINDS[kind]}" for kind, each in done.plan.kept_by().items()),
        f"{_shown(done.young)} not in use, but younger than the grace period",
        f"{_shown(done.marked)} not in use, {'marked' if done.deleting else 'to be marked by --delete'}",
        f"{_shown(done.removed)} removed" if done.deleting else f"{_shown(done.due)} to be removed by --delete",
        f"{_shown(Amount.of(done.plan.expired), 'records')} whose time is over{over}",
        *(
            f"{_shown(Amount.of(each), 'records')}   {_KINDS[kind]}"
            for kind, each in done.plan.expired_by_kind().items()
        ),
    ]
    if done.policy != NO_POLICY:
        instead = f", in place of that of the store, {stored}" if stored not in (NO_POLICY, done.policy) else ""
        lines.insert(0, printable(f"policy: {done.policy}{instead}"))
    lines += [f"cannot be read: {printable(key)}" for key in done.problems]
    if done.problems:
        lines.append("Nothing was removed, since nobody knows what these refer to; mend them or remove them.")
    return "\n".join(lines)


def _shown(amount: Amount, what: str = "objects") -> str:
    return f"{amount.objects:>9} {what} {shown_size(amount.size):>10}"
