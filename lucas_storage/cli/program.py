"""The program `lucas-storage`: its commands, and what holds for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from lucas_storage.cli.command_group import LazyGroup, ListedCommand
from lucas_storage.cli.completion import VARIABLE
from lucas_storage.cli.interrupts import interruptible
from lucas_storage.cli.output.exit_codes import EXPLANATION
from lucas_storage.cli.output.failures import for_programs, reported, runs_script
from lucas_storage.cli.printing import escape_unencodable

OWN_COMMANDS: Final = {
    "run": ListedCommand("lucas_storage.cli.commands.run", "Run a Python script that uses Lucas and storage."),
    "serve": ListedCommand("actorc.storage.serve_command", "Run a storage server until it is told to stop."),
    "ls": ListedCommand(
        "lucas_storage.cli.commands.objects.ls", "List buckets, or the objects of one whose keys begin with a prefix."
    ),
    "cp": ListedCommand(
        "lucas_storage.cli.commands.objects.cp", "Copy files to objects, objects to files, or objects to objects."
    ),
    "mv": ListedCommand(
        "lucas_storage.cli.commands.objects.mv",
        "Move or rename objects, and move files to objects or objects to files.",
    ),
    "sync": ListedCommand(
        "lucas_storage.cli.commands.objects.sync",
        "Copy what changed from a directory or place in a bucket to another one.",
    ),
    "cat": ListedCommand(
        "lucas_storage.cli.commands.objects.cat", "Write objects, or a part of each, to standard output."
    ),
    "head": ListedCommand(
        "lucas_storage.cli.commands.objects.head", "Write the beginning of objects to standard output."
    ),
    "stat": ListedCommand(
        "lucas_storage.cli.commands.objects.stat",
        "Print everything that is known of objects or buckets: size, type, times, etag, checksum, metadata.",
    ),
    "find": ListedCommand(
        "lucas_storage.cli.commands.objects.find",
        "List the objects whose keys begin with a prefix, or those of all buckets, that meet every condition.",
    ),
    "tree": ListedCommand(
        "lucas_storage.cli.commands.objects.tree",
        "Draw the objects below a name as a tree, with a branch at each slash of their keys.",
    ),
    "diff": ListedCommand(
        "lucas_storage.cli.commands.objects.diff", "Tell where two objects, files, prefixes or directories differ."
    ),
    "rm": ListedCommand("lucas_storage.cli.commands.objects.rm", "Remove objects."),
    "mb": ListedCommand("lucas_storage.cli.commands.buckets", "Make buckets."),
    "rb": ListedCommand("lucas_storage.cli.commands.buckets", "Remove buckets, empty ones unless --force is given."),
    "du": ListedCommand(
        "lucas_storage.cli.commands.objects.du",
        "Add up the sizes of objects: of each bucket, or of each name in one up to the next slash.",
    ),
    "presign": ListedCommand(
        "lucas_storage.cli.commands.objects.presign",
        "Print a URL that lets its holder do one thing to one object for a while, without keys.",
    ),
    "runs": ListedCommand("lucas_storage.cli.commands.runs", "List the last runs, or show one as a tree of its steps."),
    "ui": ListedCommand(
        "lucas_storage.cli.commands.ui",
        "Show runs, artifacts and buckets in a browser of this machine, until Ctrl-C.",
    ),
    "show": ListedCommand("lucas_storage.cli.commands.show", "Show what an artifact is, and how it begins."),
    "replay": ListedCommand(
        "lucas_storage.cli.commands.replay", "Run one step of a run again, alone, on the very inputs that it had."
    ),
    "export": ListedCommand(
        "lucas_storage.cli.commands.bundles", "Write a run, its records and all its artifacts into one ZIP file."
    ),
    "import": ListedCommand(
        "lucas_storage.cli.commands.bundles", "Store the run, the records and the artifacts of a bundle.", "import_"
    ),
    "why": ListedCommand(
        "lucas_storage.cli.commands.why", "Show where an artifact comes from, who read it, and what keeps it."
    ),
    "uses": ListedCommand("lucas_storage.cli.commands.why", "Show what was made from an artifact, step by step."),
    "gc": ListedCommand(
        "lucas_storage.cli.commands.gc", "Find artifacts that nothing refers to, and remove them if told so."
    ),
    "keys": ListedCommand("lucas_storage.cli.commands.keys", "Make, show and change access keys."),
    "token": ListedCommand(
        "lucas_storage.cli.commands.token", "Print a token for the JSON API: 'Authorization: Bearer TOKEN'."
    ),
    "fsck": ListedCommand(
        "lucas_storage.cli.commands.fsck", "Verify every byte of a data directory that no server uses."
    ),
    "backup": ListedCommand(
        "lucas_storage.cli.commands.backup", "Take a snapshot of a data directory while its server runs."
    ),
    "restore": ListedCommand(
        "lucas_storage.cli.commands.backup", "Make a data directory of a snapshot, or check or list snapshots."
    ),
    "config": ListedCommand(
        "lucas_storage.cli.commands.config", "Print every setting, secrets aside, and where it comes from."
    ),
    "completion": ListedCommand(
        "lucas_storage.cli.commands.completion",
        "Print the script with which a shell completes commands, options, buckets, keys, runs and names.",
    ),
    "doctor": ListedCommand(
        "lucas_storage.cli.commands.doctor",
        "Look at this installation, the server and the way there, and say what to do about what is wrong.",
    ),
}
"""The commands in the order in which new users need them."""


class Program(LazyGroup):
    """Commands whose errors become a line on standard error and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the program with these arguments, or those of this process, and exit."""
        given = sys.argv[1:] if args is None else list(args)
        if not runs_script(given):  # a script's output is its own, and must be as under `python`
            escape_unencodable()
        if VARIABLE in os.environ:
            from lucas_storage.cli.completion import shells  # noqa: PLC0415  # a shell asks, and nobody else

            shells.register()
        # By the raw arguments: an error of the command line must be JSON, too, and comes before options are parsed.
        with for_programs(given):
            return super().main(given, *rest, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the options before the command."""
        with reported(debug=False):
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if "OTEL_TRACES_EXPORTER" in os.environ:
            from actorc.tracing import setup  # noqa: PLC0415  # few people trace commands

            setup.set_up(setup.SERVER if sys.argv[1:2] == ["serve"] else setup.COMMAND)
        with reported(debug=ctx.params["debug"]), interruptible():
            return super().invoke(ctx)


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # click passes it so
    if wanted:
        from actorc.version import version  # noqa: PLC0415  # of no use to other commands

        click.echo(f"lucas-storage {version()}")
        context.exit()


@click.group(
    cls=Program, own=OWN_COMMANDS, epilog=EXPLANATION, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--debug", is_flag=True, help="Show log messages, and the traceback of an error.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def program(*, debug: bool) -> None:
    """Object storage for Lucas workflows.

    Commands talk to STORAGE_ENDPOINT. Where that is not set, they use the server of the nearest .lucas-storage, here or
    above.
    """
    if debug:
        import logging  # noqa: PLC0415  # a command that logs nothing need not load it

        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")


def run() -> None:
    """Run the program with the arguments of this process."""
    if not (runs_script(sys.argv[1:]) or "--debug" in sys.argv):
        # Its library prints lines of its own about broken connections and certificates, beside the error of the call.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    program(prog_name="lucas-storage", terminal_width=_width())


def _width() -> int:
    """Return the columns for a help text, as click would; but it loads a module for copying files to find them."""
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
    except (ValueError, OSError):
        columns = 80
    return max(min(columns, 80) - 2, 50)
