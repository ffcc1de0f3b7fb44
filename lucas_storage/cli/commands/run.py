"""`run`: runs a script or a module, after starting or joining the services that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from lucas_storage import settings
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.local_service.provision import provide_lucas, provide_storage
from lucas_storage.local_service.script_hooks import before_scripts
from lucas_storage.local_service.service import DEFAULT_DATA
from lucas_storage.local_service.variables import Variables

from .user_script import place_path, run_as_main, run_module_as_main

_WITH_VALUE: Final = frozenset({"--data", "--profile"})
_FILE: Final = LocalPath(exists=True, dir_okay=False)


class ScriptCommand(click.Command):
    """A command whose own options end before the script, and, as those of Python, behind ``-m MODULE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; those of the script stay as they are."""
        end = _end_of_options(args)
        return super().parse_args(ctx, args if end is None else [*args[:end], "--", *args[end:]])


def _end_of_options(args: Sequence[str]) -> int | None:
    """Return where the arguments of a module begin; None if a file is to be run."""
    position = 0
    while position < len(args) and args[position].startswith("-") and args[position] != "--":
        if args[position].startswith("-m"):
            end = position + (2 if args[position] == "-m" else 1)
            return end if end <= len(args) else None
        position += 2 if args[position] in _WITH_VALUE else 1
    return None


@click.command(cls=ScriptCommand, context_settings={"allow_interspersed_args": False})
@click.argument("command", metavar="SCRIPT [ARGS]…", nargs=-1, type=click.UNPROCESSED)
@click.option("-m", "module", metavar="MODULE", help="Run a module instead of a file, as 'python -m MODULE' does.")
@click.option(
    "--data",
    type=LocalPath(file_okay=False, path_type=Path),
    metavar="DIR",
    help=f"Directory of the storage server that is started. Without an endpoint, the nearest {DEFAULT_DATA} here or "
    "above, else a new one here.",
)
@click.option("--profile", metavar="NAME", help="Settings of ~/.config/lucas-storage.toml; else STORAGE_PROFILE.")
@click.pass_context
def run(
    context: click.Context, command: tuple[str, ...], module: str | None, data: Path | None, profile: str | None
) -> None:
    """Run a Python script that uses Lucas and storage.

    Without STORAGE_ENDPOINT a storage server is started for it, or joined; it keeps its data, lets in nobody but this
    user, and the script finds its keys. It is localhost:9000 if nobody has that port, else a line says so. Where Lucas
    is not installed, the embedded engine takes its place. If it uses the actor platform, and neither IGNIS_ADDR nor a
    MASTER_ADDR with a port is set, a controller is started for it.
    Everything else is as with 'python SCRIPT', the exit code too.
    """
    script = None if module else _script(context, command)
    # Never closed, nor restored: threads and exit handlers of the script need it to the end of the process.
    port = settings.resolve(profile=profile).run_port.value
    provide_storage(Variables(), data, port, profile)
    # Imported before the script's folder is on the module path, where a file could hide one of their modules.
    prepared = before_scripts()
    place_path(script)
    is_embedded = provide_lucas()
    for prepare in prepared:
        prepare(is_embedded)
    if script is None:
        run_module_as_main(str(module), command)
    else:
        run_as_main(script, command[1:])


def _script(context: click.Context, command: Sequence[str]) -> str:
    """Return the script's file.

    Raises:
        UsageError: There is none.
    """
    if not command:
        raise click.UsageError("Missing argument 'SCRIPT'.", context)
    return str(_FILE.convert(command[0], click.Argument(["SCRIPT"]), context))
