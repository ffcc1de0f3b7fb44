"""`keys`: makes, lists and changes the access keys of a server, in its data directory or over its API."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actorc.storage.errors import StorageError
from actorc.storage.local_server import local_endpoint
from actorc.storage.local_server.shared_files import check_is_for_data
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.printing import print_record, printable, shown_time
from lucas_storage.cli.quantities import DURATION
from lucas_storage.cli.session import Session
from lucas_storage.local_service.access_keys import FileKeys, KeyChanges
from lucas_storage.local_service.service import DEFAULT_DATA

if TYPE_CHECKING:
    from actorc.storage.access_keys import AccessKeyResult, NewAccessKeyResult

_EVERYTHING: Final = "read,list,write,delete,presign,admin:*"
_PATIENCE: Final = 3.0
"""Seconds; a server looks for keys twice a second."""
_POLL: Final = 0.05
_WHERE: Final = (
    click.option(
        "--data",
        type=LocalPath(file_okay=False, path_type=Path),
        metavar="DIR",
        help=f"Data directory of the server; {DEFAULT_DATA} if nothing names a server.",
    ),
    click.option(
        "--keys",
        "keys_file",
        type=LocalPath(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A file of access keys elsewhere, as 'serve --keys' takes it.",
    ),
    click.option(
        "--endpoint", metavar="HOST:PORT", help="A server elsewhere, by its API; else STORAGE_ENDPOINT. It needs HTTP."
    ),
    click.option("--profile", metavar="NAME", help="Settings of ~/.config/lucas-storage.toml; else STORAGE_PROFILE."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
)


class _Place:
    """Where the keys of one command are, and how it prints.

    Args:
        data: Data directory whose file they are in; None if they are not in one.
        changes: Lists and changes them.
        as_json: Whether results are printed for programs.
        exposed: Returns whether a secret would travel to this machine without TLS.
    """

    def __init__(
        self, data: Path | None, changes: KeyChanges, *, as_json: bool, exposed: Callable[[], bool] = lambda: False
    ) -> None:
        self.data = data
        self.changes = changes
        self.as_json = as_json
        self.exposed = exposed

    def emit(self, record: AccessKeyResult) -> None:
        """Print a key that was changed, for programs; people see that nothing went wrong."""
        if self.as_json:
            print_record(record)

    def emit_secret(self, made: NewAccessKeyResult) -> None:
        """Print a key with its new secret."""
        if self.as_json:
            print_record(made)
        else:
            click.echo(f"STORAGE_ACCESS_KEY={made['access_key']}\nSTORAGE_SECRET_KEY={made['secret_key']}")
            # On standard error, so that standard output can be written to a file of variables.
            click.echo("Keep the secret key now, it cannot be shown again.", err=True)
        if self.exposed():
            click.echo("It came from another machine without TLS, so whoever is on the way may have it.", err=True)


def _with_place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command options that choose where keys are, ``--json``, and a `_Place` as its first argument."""

    @functools.wraps(command)
    def connected(
        data: Path | None,
        keys_file: Path | None,
        endpoint: str | None,
        profile: str | None,
        *,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        with ExitStack() as stack:
            command(_place(stack, data, keys_file, endpoint, profile, as_json=as_json), **arguments)

    for option in reversed(_WHERE):
        connected = option(connected)
    return connected


def _place(
    stack: ExitStack,
    data: Path | None,
    keys_file: Path | None,
    endpoint: str | None,
    profile: str | None,
    *,
    as_json: bool,
) -> _Place:
    if keys_file is not None or data is not None:
        for option, value in (("--endpoint", endpoint), ("--profile", profile)):
            if value:
                raise click.UsageError(f"{option} is for a server elsewhere; give it without --data and --keys")
    else:
        session = Session(endpoint, None, profile=profile)
        stack.callback(session.close)
        if session.names_server:
            from actorc.storage.access_keys import AccessKeys  # noqa: PLC0415  # loads the client

            over_api = AccessKeys(session.client())
            return _Place(None, over_api, as_json=as_json, exposed=over_api.is_exposed)
    from actorc.storage.server.config import KEYS_FILE  # noqa: PLC0415  # loads gRPC

    named, data = keys_file or data, data or Path(DEFAULT_DATA)
    changes = FileKeys(keys_file or data / KEYS_FILE, named=named)
    return _Place(data if keys_file is None else None, changes, as_json=as_json)


@click.group()
def keys() -> None:
    """Make, show and change access keys.

    The first key closes a server that was open to everybody on its machine. Running servers follow changes at once.
    """


@keys.command()
@click.option(
    "--allow",
    "allowed",
    metavar="ACTIONS:BUCKETS[/PREFIX]",
    multiple=True,
    help="What the key is for, such as 'read,list:team-*/reports/'; may be given several times. Actions are read, "
    "list, write, delete, presign and admin, which makes and removes buckets.",
)
@click.option("--admin", is_flag=True, help="Allow everything.")
@click.option("--comment", default="", metavar="TEXT", help="Whose it is, for 'keys list'.")
@_with_place
def add(place: _Place, *, allowed: tuple[str, ...], admin: bool, comment: str) -> None:
    """Make an access key and print it with its secret key, which is shown this once and kept nowhere."""
    # No default: a key that may do more than its owner thinks is worse than an error.
    if admin == bool(allowed):
        raise click.UsageError("give either --allow, what the key is for, or --admin")
    if place.data is not None and place.data.exists():
        check_is_for_data(place.data)
    place.emit_secret(place.changes.add_key([_EVERYTHING] if admin else allowed, comment=comment))
    # A server that writes no key for its own user's commands closes to them, too, with its first key.
    if place.data is not None and not _is_found(place.data):
        click.echo(
            f"A server runs for {place.data} and tells your own commands no key; set both variables for them, or start "
            "it again.",
            err=True,
        )


@keys.command("list")
@_with_place
def list_(place: _Place) -> None:
    """Show the access keys, oldest first, and what they allow."""
    for key in place.changes.list_keys():
        if place.as_json:
            print_record(key)
        else:
            click.echo(_line(key))


@keys.command()
@click.argument("access_key")
@click.option(
    "--for",
    "grace",
    type=DURATION,
    default="1h",
    metavar="TIME",
    show_default=True,
    help="How long the secret keys that it had still work; 0s ends them at once. At most 30d.",
)
@_with_place
def rotate(place: _Place, *, access_key: str, grace: float) -> None:
    """Give ACCESS_KEY another secret key and print it; what it allows stays.

    The secret keys that it had work for a while, and then end by themselves.
    """
    made = place.changes.rotate_key(access_key, grace=grace)
    place.emit_secret(made)
    if not place.as_json:
        until = made["former_until"]
        told = f"works until {shown_time(until)} UTC" if until else "works no more"
        click.echo(f"The secret key that it had {told}.", err=True)


@keys.command()
@click.argument("access_key")
@_with_place
def disable(place: _Place, *, access_key: str) -> None:
    """Refuse all requests with ACCESS_KEY from now on."""
    place.emit(place.changes.disable_key(access_key))


@keys.command()
@click.argument("access_key")
@_with_place
def enable(place: _Place, *, access_key: str) -> None:
    """Accept requests with ACCESS_KEY, which was disabled, again."""
    place.emit(place.changes.enable_key(access_key))


@keys.command()
@click.argument("access_key")
@_with_place
def remove(place: _Place, *, access_key: str) -> None:
    """Remove ACCESS_KEY, which is disabled, for good."""
    place.emit(place.changes.remove_key(access_key))


def _is_found(data: Path) -> bool:
    """Return whether this user's commands can still use the server of a directory, which the first key closes.

    A server writes a key for them into its endpoint file within a second.
    """
    deadline = time.monotonic() + _PATIENCE
    try:
        while (server := local_endpoint.read(data)) is not None and server.access_key is None:
            if time.monotonic() > deadline:
                return False
            # The file of the server says when it has noticed the key; asked for, since a file announces nothing.
            time.sleep(_POLL)
    except StorageError:
        # No command uses such a directory, and each reports why; a warning here would be a second one.
        return True
    return True


def _line(key: AccessKeyResult) -> str:
    state = "disabled" if key["disabled"] else "enabled"
    allowed, until = " ".join(key["allow"]), key["former_until"]
    former = f"  (former secret key until {shown_time(until)})" if until else ""
    return printable(
        f"{key['access_key']}  {state:<8}  {key['created_at']:%Y-%m-%d}  {allowed}  {key['comment']}{former}"
    ).rstrip()
