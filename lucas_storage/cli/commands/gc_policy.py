"""`gc policy`: what the collections of a store keep."""

from __future__ import annotations

import click

from lucas_storage import settings
from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.printing import printable
from lucas_storage.cli.retention_options import retention_options
from lucas_storage.cli.session import Session, reading
from lucas_storage.gc.policy import (
    NO_POLICY,
    Policy,
    policy_of,
    readable_policy,
    remove_policy,
    store_policy,
    stored_policy,
)


@click.group()
def policy() -> None:
    """Show and change what the collections of a store keep.

    The policy lies in the bucket of the artifacts, so 'gc' obeys it wherever it runs, and so do the page and the API
    that show its plan. Who may write to the bucket may change it.
    """


@policy.command()
@reading
def show(session: Session) -> None:
    """Show the policy of the store, as the options that make it."""
    with artifacts(session) as storage:
        _emit(session, stored_policy(storage))


@policy.command("set")
@retention_options
@reading
def set_(session: Session, *, keep_days: int | None, keep_last: tuple[str, ...]) -> None:
    """Replace the whole policy of the store, and tell the former one.

    Nothing is removed now; 'gc' tells what the next collection removes. 'gc' with the same options tells it before.
    """
    found = policy_of(keep_days, keep_last)
    if found == NO_POLICY:
        raise click.UsageError("give --keep-days, --keep-last or both; 'gc policy clear' removes the policy")
    with artifacts(session) as storage:
        former = readable_policy(storage)
        store_policy(storage, found)
        _emit(session, found, former)


@policy.command()
@reading
def clear(session: Session) -> None:
    """Remove the policy of the store, so that names stay for ever."""
    with artifacts(session) as storage:
        former = readable_policy(storage)
        remove_policy(storage)
        _emit(session, NO_POLICY, former)


def _emit(session: Session, found: Policy, former: Policy | None = None) -> None:
    ttl = settings.resolve().ttl
    runs = "" if found.keep_days else f"; runs count for {ttl.value / 86_400:g} days ({ttl.origin})"
    names = "" if found.keep_last else "; names stay for ever"
    line = printable(f"{str(found) or 'no policy'}{runs}{names}")
    if former not in (None, NO_POLICY, found):
        # The options that bring it back: what nobody meant to let go would else be gone with the next collection.
        line += "\n" + printable(f"in place of {former}")
    record = found.to_json()
    session.emit(record if former is None else {**record, "former": former.to_json()}, line)
