"""A click group whose commands are imported when they are run: those of this package, and of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from .installed_commands import InstalledCommand, installed_commands

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = "lucas_storage.commands"
"""Group of entry points, each a `click.Command` under the name that it is called by."""

_ELSEWHERE: Final = {
    "copy": "cp",
    "delete": "rm",
    "download": "cp",
    "get": "cp",
    "list": "ls",
    "move": "mv",
    "put": "cp",
    "remove": "rm",
    "rename": "mv",
    "start": "serve",
    "upload": "cp",
}
"""What other programs call commands, and the commands here that do the same."""


class ListedCommand(NamedTuple):
    """What ``--help`` says of a command of this package without importing it."""

    module: str
    """The module whose function of the command's name is the command, unless `function` names another."""
    summary: str
    """The first paragraph of its help."""
    function: str = ""
    """The name of that function, where the command's own is a keyword of Python."""


class LazyGroup(click.Group):
    """Commands by name; the module of one is imported when it is run, and for ``--help`` those of other packages alone.

    A command of another package that cannot be loaded fails with the reason when it is run, and shows it in ``--help``;
    the others work. A name of this package means its own command, even if another package installs one of that name.

    Args:
        own: The commands of this package by name, in the order in which they are listed.
    """

    def __init__(self, *args: Any, own: Mapping[str, ListedCommand], **options: Any) -> None:
        super().__init__(*args, **options)
        self._own = own

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands of this package in their order, and then of the others."""
        others = {command.name for command in installed_commands(COMMANDS)} - self._own.keys()
        return [*self._own, *sorted(others)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command; None if there is none of that name."""
        if cmd_name in self._own:  # first: no other package can take the place of a command that handles keys
            listed = self._own[cmd_name]
            command: click.Command = getattr(import_module(listed.module), listed.function or cmd_name)
            return command
        others = (command for command in installed_commands(COMMANDS) if command.name == cmd_name)
        return next(map(_loaded, others), None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names; the error for none names the one that may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if meant := self._meant(ctx, args[0]):
                raise click.UsageError(f"{error.message} Did you mean {meant!r}?", ctx) from error
            raise

    def _meant(self, ctx: click.Context, name: str) -> str | None:
        from difflib import get_close_matches  # noqa: PLC0415  # a command that runs needs none

        close = get_close_matches(name.lower(), self.list_commands(ctx), n=1)
        return _ELSEWHERE.get(name.lower()) or next(iter(close), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of all commands, and a line about each."""
        names = self.list_commands(ctx)
        width = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._described(ctx, name).get_short_help_str(width)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands and options that begin like this, without importing a command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # a command that runs needs none

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        summaries = {name: self._own[name].summary if name in self._own else None for name in names}
        return [
            *(CompletionItem(name, help=summary) for name, summary in summaries.items()),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def _described(self, ctx: click.Context, name: str) -> click.Command:
        """Return a command for its short help, which the modules of this package are not imported for."""
        if name in self._own:
            return click.Command(name, help=self._own[name].summary)
        return self.get_command(ctx, name) or click.Command(name)


def _loaded(installed: InstalledCommand) -> click.Command:
    try:
        module, _, attribute = installed.value.partition("[")[0].partition(":")
        command = attrgetter(attribute.strip())(import_module(module.strip()))
        if not isinstance(command, click.Command):
            raise TypeError(f"{installed.value} is no click.Command")  # noqa: TRY301  # reported like a failed import
    except (Exception, SystemExit) as error:  # noqa: BLE001  # another package's code, at its import
        return _broken(installed, error)
    return command


def _broken(installed: InstalledCommand, error: BaseException) -> click.Command:
    """Return a command that takes any arguments, and fails with the reason why it could not be loaded."""
    # Both slow to load, and needed to name the package only.
    from importlib.metadata import entry_points  # noqa: PLC0415

    from lucas_storage.local_service.script_hooks import unusable  # noqa: PLC0415

    (point, *_) = entry_points(group=COMMANDS, name=installed.name)
    message = unusable(point, "command", error)

    def say() -> None:
        raise click.ClickException(message)

    # Options are accepted unread: which ones the command has is unknown, and the reason must not be hidden by an error
    # about one of them.
    anything: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(installed.name, callback=say, context_settings=anything, short_help=message)
