"""`controller`: an ignis controller in the foreground, for workflows on the actor platform without ignis."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--listen", default="127.0.0.1:50051", metavar="HOST:PORT", show_default=True, help="On loopback.")
@click.option(
    "--app-id-file", type=_FILE, metavar="FILE", help="Application ids to serve, one a line. Else APP_ID, or a new one."
)
@click.option(
    "--max-workers", default=16, show_default=True, metavar="N", help="How many worker processes there may be."
)
@click.option(
    "--call-timeout",
    type=float,
    metavar="SECONDS",
    help="How long a call may take whose function says nothing else. Else IGNIS_CALL_TIMEOUT, or an hour.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the address and the id as JSON.")
def controller(
    *, listen: str, app_id_file: Path | None, max_workers: int, call_timeout: float | None, as_json: bool
) -> None:
    """Run an ignis controller on this machine until it is told to stop.

    Functions run in processes that it starts, with what is installed here; a 'dependency' is not installed, and one
    that is missing is an error of the calls. A call that takes too long fails, and its process is replaced. It listens
    on loopback only and serves the given applications only. Ctrl-C or SIGTERM ends it with everything it runs.
    """
    import logging  # noqa: PLC0415  # all of these are slow to load, and --help of the program loads this module

    from actorc.controller.client.timeouts import Timeouts  # noqa: PLC0415
    from actorc.controller.errors import ControllerError  # noqa: PLC0415
    from actorc.controller.local.main import serve  # noqa: PLC0415  # loads gRPC
    from actorc.controller.local.options import (  # noqa: PLC0415
        DEFAULT_CALL_TIMEOUT,
        ControllerOptions,
        new_app_id,
    )
    from actorc.storage.errors import InvalidParameterError  # noqa: PLC0415

    app_ids = _app_ids(app_id_file)
    app_id = "" if app_id_file else (app_ids[0] if app_ids else new_app_id())
    path = (str(Path.cwd()), *sys.path)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    try:
        if call_timeout is None:
            call_timeout = Timeouts.from_environment().call or DEFAULT_CALL_TIMEOUT
        options = ControllerOptions(
            app_ids=app_ids or (app_id,),
            listen=listen,
            max_workers=max_workers,
            call_timeout=call_timeout,
            path=path,
        )
        serve(options, on_address=lambda address: _print_variables(address, app_id, as_json=as_json))
    except (ValueError, ControllerError) as error:
        raise InvalidParameterError(str(error)) from error


def _app_ids(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return tuple(filter(None, [os.environ.get("APP_ID")]))
    ids = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if not ids:
        from actorc.storage.errors import InvalidParameterError  # noqa: PLC0415  # as above

        raise InvalidParameterError(f"{file} names no application; write ids into it, one a line")
    return ids


def _print_variables(address: str, app_id: str, *, as_json: bool) -> None:
    """Print the variables that clients need, as shell commands or JSON; ids from a file are not printed.

    Args:
        address: ``host:port``.
        app_id: The id to print; empty if it came from a file, whose reader knows it.
        as_json: Whether to print JSON.
    """
    import json  # noqa: PLC0415  # as above

    from .needed_controller import variables  # noqa: PLC0415

    known = variables(address, app_id)
    if not app_id:
        del known["APP_ID"]
    if as_json:
        click.echo(json.dumps(known))
        return
    for name, value in known.items():
        click.echo(f"export {name}={value}")
