"""`keys`: makes, lists and disables the access keys of a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actorc.storage.errors import StorageError
from actorc.storage.local_server import local_endpoint
from actorc.storage.local_server.shared_files import check_is_for_data
from lucas_storage.cli.printing import print_record, printable
from lucas_storage.local_service.service import DEFAULT_DATA

if TYPE_CHECKING:
    from actorc.storage.server.auth.access_keys import AccessKey

_PATIENCE: Final = 3.0
"""Seconds; a server looks for keys twice a second."""
_POLL: Final = 0.05
_WHERE: Final = (
    click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        default=DEFAULT_DATA,
        show_default=True,
        help="Data directory of the server.",
    ),
    click.option(
        "--keys",
        "keys_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A file of access keys elsewhere, as 'serve --keys' takes it.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
)


def _with_file(command: Any) -> Any:
    for option in reversed(_WHERE):
        command = option(command)
    return command


@click.group()
def keys() -> None:
    """Make, show and disable access keys.

    The first key closes a server that was open to everybody on its machine. Running servers notice changes by
    themselves.
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
@_with_file
def add(
    allowed: tuple[str, ...], *, admin: bool, comment: str, data: Path, keys_file: Path | None, as_json: bool
) -> None:
    """Make an access key and print it with its secret key, which is shown this once and kept nowhere."""
    from actorc.storage.server.auth.access import EVERYTHING, Statement  # noqa: PLC0415  # loads gRPC
    from actorc.storage.server.auth.key_file import add_key  # noqa: PLC0415

    # No default: a key that may do more than its owner thinks is worse than an error.
    if admin == bool(allowed):
        raise click.UsageError("give either --allow, what the key is for, or --admin")
    statements = [EVERYTHING] if admin else [Statement.parse(text) for text in allowed]
    if keys_file is None and data.exists():
        check_is_for_data(data)
    key, secret = add_key(_file(data, keys_file), statements, comment=comment)
    if as_json:
        print_record({"access_key": key.id, "secret_key": secret, **_described(key)})
    else:
        click.echo(f"STORAGE_ACCESS_KEY={key.id}\nSTORAGE_SECRET_KEY={secret}")
        # On standard error, so that standard output can be written to a file of variables.
        click.echo("Keep the secret key now, it cannot be shown again.", err=True)
    # A server that writes no key for its own user's commands closes to them, too, with its first key.
    if keys_file is None and not _is_found(data):
        click.echo(
            f"A server runs for {data} and tells your own commands no key; set both variables for them, or start it "
            "again.",
            err=True,
        )


@keys.command("list")
@_with_file
def list_(*, data: Path, keys_file: Path | None, as_json: bool) -> None:
    """Show the access keys, oldest first, and what they allow."""
    from actorc.storage.server.auth.key_file import read_keys  # noqa: PLC0415  # loads gRPC

    file = _file(data, keys_file)
    for key in read_keys(file).values() if file.exists() else ():
        record = {"access_key": key.id, "disabled": key.disabled, **_described(key)}
        if as_json:
            print_record(record)
        else:
            click.echo(_line(key))


@keys.command()
@click.argument("access_key")
@_with_file
def disable(access_key: str, *, data: Path, keys_file: Path | None, as_json: bool) -> None:
    """Refuse all requests with ACCESS_KEY from now on."""
    from actorc.storage.server.auth.key_file import disable_key  # noqa: PLC0415  # loads gRPC

    key = disable_key(_file(data, keys_file), access_key)
    if as_json:
        print_record({"access_key": key.id, "disabled": key.disabled})


def _is_found(data: Path) -> bool:
    """Return whether this user's commands can still use the server of a directory, which the first key closes.

    A server writes a key for them into its endpoint file within a second.
    """
    deadline = time.monotonic() + _PATIENCE
    try:
        while (server := local_endpoint.read(data)) is not None and server.access_key is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
    except StorageError:
        # No command uses such a directory, and each reports why; a warning here would be a second one.
        return True
    return True


def _file(data: Path, keys_file: Path | None) -> Path:
    from actorc.storage.server.config import KEYS_FILE  # noqa: PLC0415  # loads gRPC

    return keys_file or data / KEYS_FILE


def _described(key: AccessKey) -> dict[str, Any]:
    return {
        "allow": [str(statement) for statement in key.statements],
        "comment": key.comment,
        "created_at": key.created_at.isoformat(),
    }


def _line(key: AccessKey) -> str:
    state = "disabled" if key.disabled else "enabled"
    allowed = " ".join(str(statement) for statement in key.statements)
    return printable(f"{key.id}  {state:<8}  {key.created_at:%Y-%m-%d}  {allowed}  {key.comment}").rstrip()
