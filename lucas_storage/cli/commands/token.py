"""`token`: makes a short-lived token for the JSON API."""

from __future__ import annotations

import click

from lucas_storage.cli.quantities import DURATION
from lucas_storage.cli.session import Session, reading

_DAY = 24 * 3600


@click.command()
@click.option("--ttl", type=DURATION, default="1h", metavar="TIME", show_default=True, help="At most 1d.")
@click.option("--read-only", is_flag=True, help="For reading and listing only, whatever else the key allows.")
@reading
def token(session: Session, *, ttl: float, read_only: bool) -> None:
    """Print a token for the JSON API: 'Authorization: Bearer TOKEN'.

    It is made here, of the access key in use, and asks no server. Its holder may do what the key may, until it
    expires or the key is disabled; it does not give the secret key away.
    """
    from actorc.storage.tokens import new_token  # noqa: PLC0415  # slow to load

    if not 1 <= ttl <= _DAY:
        raise click.UsageError("--ttl is from 1s to 1d; give another time")
    client = session.client()
    if client.access_key is None or client.secret_key is None:
        raise click.UsageError(
            "there is no access key to make a token of; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY, as "
            "'lucas-storage keys add' printed them. A server without keys needs no token"
        )
    made = new_token(client.access_key, client.secret_key, seconds=int(ttl), read_only=read_only)
    session.emit({"access_key": client.access_key, "expires": int(ttl), "read_only": read_only, "token": made}, made)
