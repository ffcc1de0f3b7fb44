"""`run`: runs a script, after starting or joining the services that it needs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import click

from actorc.storage.config import KEY_ENDPOINT
from actorc.storage.local_server import local_endpoint
from actorc.storage.setting_lookup import BUILT_IN
from lucas_storage import settings
from lucas_storage.cli.command_group import before_scripts
from lucas_storage.local_service.service import DEFAULT_DATA, LocalService

from .user_script import place_path, run_as_main


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", metavar="[ARGS]…", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help=f"Directory of the storage server that is started. Without an endpoint, the nearest {DEFAULT_DATA} here or "
    "above, else a new one here.",
)
def run(script: str, arguments: tuple[str, ...], data: Path | None) -> None:
    """Run a Python script that uses Lucas and storage.

    Without STORAGE_ENDPOINT a storage server is started for it, or joined; it keeps its data, lets in nobody but this
    user, and the script finds its keys. It is localhost:9000 if nobody has that port, else a line says so. Where Lucas
    is not installed, the embedded engine takes its place. If it uses the actor platform, and neither IGNIS_ADDR nor a
    MASTER_ADDR with a port is set, a controller is started for it.
    Everything else is as with 'python SCRIPT', the exit code too.
    """
    _provide_storage(data)
    # Imported before the script's folder is on the module path, where a file could hide one of their modules.
    prepared = before_scripts()
    place_path(script)
    is_embedded = _provide_lucas()
    for prepare in prepared:
        prepare(is_embedded)
    run_as_main(script, arguments)


def _provide_storage(data: Path | None) -> None:
    """Set the environment so that this process and its children find a server and, for a local one, a signing key."""
    chosen = _chosen_endpoint() if data is None else None
    if chosen is not None:
        os.environ["STORAGE_ENDPOINT"] = chosen
        return
    # Never closed: threads and exit handlers of the script need it to the end of the process.
    port = settings.resolve().run_port.value
    service = LocalService(data, port=port)
    if service.caution:
        click.echo(f"lucas-storage: {service.caution}", err=True)
    os.environ["STORAGE_ENDPOINT"] = service.endpoint
    _provide_keys(service, _endpoint_names(service, port))
    present = settings.resolve()
    if not present.signing_key.value or (present.local and present.signing_key.origin == present.local.origin):
        os.environ["LUCAS_STORAGE_SIGNING_KEY_FILE"] = str(service.signing_key_file)


def _chosen_endpoint() -> str | None:
    """Return the endpoint that the user chose; None if a local server must be found or started."""
    present = settings.resolve()
    endpoint = present.endpoint()
    is_found = present.local is not None and endpoint.origin == present.local.origin
    return None if is_found or endpoint.origin == BUILT_IN else endpoint.value


def _endpoint_names(service: LocalService, port: int) -> tuple[str, ...]:
    """Return each way in which a script may write the endpoint; warn if ``localhost`` leads to another server."""
    name = f"localhost:{port}"
    if port and local_endpoint.is_localhost(service.endpoint, port):
        return service.endpoint, name
    if port and local_endpoint.is_taken(port):
        click.echo(
            f"lucas-storage: {name} is taken, so what names it reaches another server than that of {service.data}, "
            f"which is {service.endpoint}; leave the endpoint out, or end that server",
            err=True,
        )
    return (service.endpoint,)


def _provide_keys(service: LocalService, names: tuple[str, ...]) -> None:
    """Set the keys of a server in the environment, which other users cannot read, for that server's endpoint only."""
    if service.access_key is None or service.secret_key is None:
        return
    if os.environ.get("STORAGE_ACCESS_KEY"):
        click.echo(
            f"lucas-storage: STORAGE_ACCESS_KEY is the key of the server in {service.data} for this script; pass keys "
            "for other servers as arguments",
            err=True,
        )
    os.environ["STORAGE_ACCESS_KEY"] = service.access_key
    os.environ["STORAGE_SECRET_KEY"] = service.secret_key
    # The keys are for this server only: a client of another endpoint in the script must not send them there.
    os.environ[KEY_ENDPOINT] = " ".join(names)


def _provide_lucas() -> bool:
    """Return whether `lucas` is the embedded engine."""
    from lucas_storage import embedded  # noqa: PLC0415  # the engine is of no use to other commands

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_embedded = embedded.install()
    for warning in caught:
        click.echo(f"lucas-storage: {warning.message}", err=True)
    return is_embedded
