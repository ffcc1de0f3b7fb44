"""`lucas-storage`, the command-line program."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from lucas_storage.cli.commands.buckets import mb, rb
from lucas_storage.cli.commands.config import config
from lucas_storage.cli.commands.controller import controller
from lucas_storage.cli.commands.copy import cp
from lucas_storage.cli.commands.doctor import doctor
from lucas_storage.cli.commands.fsck import fsck
from lucas_storage.cli.commands.gc import gc
from lucas_storage.cli.commands.keys import keys
from lucas_storage.cli.commands.ls import du, ls
from lucas_storage.cli.commands.objects import cat
from lucas_storage.cli.commands.presign import presign
from lucas_storage.cli.commands.rm import rm
from lucas_storage.cli.commands.run import run
from lucas_storage.cli.commands.runs import runs
from lucas_storage.cli.commands.serve import serve
from lucas_storage.cli.commands.show import show
from lucas_storage.cli.commands.sync import sync
from lucas_storage.cli.output.exit_codes import EXPLANATION, for_programs, reported, runs_script
from lucas_storage.cli.printing import escape_what_cannot_be_written


class Program(click.Group):
    """Commands whose errors become a line on standard error and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the program with these arguments, or those of this process, and exit."""
        given = sys.argv[1:] if args is None else list(args)
        if not runs_script(given):
            escape_what_cannot_be_written()
        with for_programs(given):
            return super().main(given, *rest, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read what comes before the command."""
        with reported(debug=False):
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with reported(debug=ctx.params["debug"]):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order they are met, not that of the alphabet."""
        return list(self.commands)


@click.group(cls=Program, epilog=EXPLANATION, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show log messages, and the traceback of an error.")
@click.version_option(package_name="lucas-storage", message="%(prog)s %(version)s")
def program(*, debug: bool) -> None:
    """Object storage for Lucas workflows.

    Commands talk to STORAGE_ENDPOINT. Where that is not set, they use the server of the nearest .lucas-storage, here or
    above.
    """
    if debug:
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")


for command in (
    *(run, serve, controller, ls, cp, sync, cat, rm, mb, rb, du, presign),
    *(runs, show, gc, keys, fsck, config, doctor),
):
    program.add_command(command)


def main() -> None:
    """Run the program with the arguments of this process."""
    program(prog_name="lucas-storage")
