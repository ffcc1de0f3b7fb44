"""``lucas-storage serve`` and ``python -m actorc.storage.server``: a storage server in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .local_server.shared_files import DIRECTORY

if TYPE_CHECKING:
    from .server.option_sources import Option

_FILE: Final = click.Path(dir_okay=False, readable=False, path_type=Path)


class ServerCommand(click.Command):
    """A command with the options of a server, imported when it runs or prints its help, since they load gRPC."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own options and the server's."""
        from .server.option_sources import OPTIONS  # noqa: PLC0415  # loads gRPC

        own = super().get_params(ctx)
        return [own[0], *map(_parameter, OPTIONS), *own[1:]]


@click.command(cls=ServerCommand)
@click.option("--config", type=_FILE, metavar="FILE", help="Options in TOML; those given here come first.")
@click.option("--endpoint-file", type=_FILE, metavar="FILE", help="Write the address here, as JSON.")
@click.option(
    "--linger-lock", type=_FILE, metavar="FILE", help="Stop when no process holds a shared flock on this file."
)
@click.option("--private", is_flag=True, help="Let nobody in but this user's programs, which find a key by themselves.")
def serve(
    *, config: Path | None, endpoint_file: Path | None, linger_lock: Path | None, private: bool, **given: Any
) -> None:
    """Run a storage server until it is told to stop.

    Without --data, data lie in ./.lucas-storage, where this user's programs find the server by themselves. Without
    access keys (see 'lucas-storage keys') it listens on loopback only, is open to every user of this machine, and makes
    buckets as they are written to. On the first Ctrl-C or SIGTERM running calls get time to finish, a second one ends
    it.
    """
    from . import server  # noqa: PLC0415  # loads gRPC
    from .server.option_sources import options_from  # noqa: PLC0415
    from .server.telemetry import log_output  # noqa: PLC0415

    options = options_from(given, config, data=Path(DIRECTORY))
    log_output.configure(options)
    server.serve(options, endpoint_file=endpoint_file, linger_lock=linger_lock, private=private)


def _parameter(option: Option) -> click.Option:
    flags = f"{option.flag}/--no-{option.flag[2:]}" if option.kind is bool else option.flag
    default = "" if option.kind is bool or option.default in {None, ""} else f"  [default: {option.default}]"
    return click.Option(
        [flags],
        type=click.Path(readable=False, path_type=Path) if option.kind is Path else option.kind,
        default=None,
        metavar=None if option.kind is bool else option.metavar,
        help=option.meaning + default,
    )
