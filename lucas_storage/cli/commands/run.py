"""`run`: runs a script, after starting or joining the services that it needs."""

from __future__ import annotations

from pathlib import Path

import click

from lucas_storage import settings
from lucas_storage.local_service.provision import provide_lucas, provide_storage
from lucas_storage.local_service.script_hooks import before_scripts
from lucas_storage.local_service.service import DEFAULT_DATA
from lucas_storage.local_service.variables import Variables

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
    # Never closed, nor restored: threads and exit handlers of the script need it to the end of the process.
    provide_storage(Variables(), data, settings.resolve().run_port.value)
    # Imported before the script's folder is on the module path, where a file could hide one of their modules.
    prepared = before_scripts()
    place_path(script)
    is_embedded = provide_lucas()
    for prepare in prepared:
        prepare(is_embedded)
    run_as_main(script, arguments)
