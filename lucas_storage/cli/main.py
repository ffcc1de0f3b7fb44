"""`lucas-storage`: the entry point of the command line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from lucas_storage.cli.command_group import LazyGroup
from lucas_storage.cli.output.exit_codes import EXPLANATION
from lucas_storage.cli.output.failures import for_programs, reported, runs_script
from lucas_storage.cli.printing import escape_unencodable

_MODULES: Final = {
    "run": "lucas_storage.cli.commands.run",
    "serve": "actorc.storage.serve_command",
    "ls": "lucas_storage.cli.commands.ls",
    "cp": "lucas_storage.cli.commands.copy",
    "sync": "lucas_storage.cli.commands.sync",
    "cat": "lucas_storage.cli.commands.objects",
    "rm": "lucas_storage.cli.commands.rm",
    "mb": "lucas_storage.cli.commands.buckets",
    "rb": "lucas_storage.cli.commands.buckets",
    "du": "lucas_storage.cli.commands.ls",
    "presign": "lucas_storage.cli.commands.presign",
    "runs": "lucas_storage.cli.commands.runs",
    "show": "lucas_storage.cli.commands.show",
    "gc": "lucas_storage.cli.commands.gc",
    "keys": "lucas_storage.cli.commands.keys",
    "fsck": "lucas_storage.cli.commands.fsck",
    "config": "lucas_storage.cli.commands.config",
    "doctor": "lucas_storage.cli.commands.doctor",
}
"""The module of each command, in the order in which new users need them."""


class Program(LazyGroup):
    """Commands whose errors become a line on standard error and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the program with these arguments, or those of this process, and exit."""
        given = sys.argv[1:] if args is None else list(args)
        if not runs_script(given):  # a script's output is its own, and must be as under `python`
            escape_unencodable()
        # By the raw arguments: an error of the command line must be JSON, too, and comes before options are parsed.
        with for_programs(given):
            return super().main(given, *rest, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the options before the command."""
        with reported(debug=False):
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with reported(debug=ctx.params["debug"]):
            return super().invoke(ctx)


@click.group(
    cls=Program, modules=_MODULES, epilog=EXPLANATION, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--debug", is_flag=True, help="Show log messages, and the traceback of an error.")
@click.version_option(package_name="lucas-storage", message="%(prog)s %(version)s")
def program(*, debug: bool) -> None:
    """Object storage for Lucas workflows.

    Commands talk to STORAGE_ENDPOINT. Where that is not set, they use the server of the nearest .lucas-storage, here or
    above.
    """
    if debug:
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")


def main() -> None:
    """Run the program with the arguments of this process."""
    program(prog_name="lucas-storage")
