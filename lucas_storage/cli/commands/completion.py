"""`completion`: prints the script that completes this program's arguments in a shell."""

from __future__ import annotations

import click

from lucas_storage.cli.completion import VARIABLE


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, options, buckets, keys, runs and names.

    Names come from the server that a command would use, if it runs; none is started. Bash must be 4.4 or later.

    \b
    Once for each user:
      bash   echo 'eval "$(lucas-storage completion bash)"' >> ~/.bashrc
      zsh    echo 'eval "$(lucas-storage completion zsh)"' >> ~/.zshrc
      fish   lucas-storage completion fish > ~/.config/fish/completions/lucas-storage.fish
    """  # noqa: D301  # click takes the character for the end of wrapping
    from lucas_storage.cli.completion.shells import SHELLS  # noqa: PLC0415  # of use here only

    root = click.get_current_context().find_root()
    click.echo(SHELLS[shell](root.command, {}, "lucas-storage", VARIABLE).source(), nl=False)
