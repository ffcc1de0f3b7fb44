"""Choice of files and objects by the patterns of ``--include`` and ``--exclude``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final

import click

from lucas_storage.cli.name_patterns import matched_lengths

_FLAGS: Final = ("--include", "--exclude")
_GIVEN: Final = "lucas_storage.filters"


class NameFilter:
    """Chooses names below a folder or prefix. Pure, and safe to share between threads.

    Of the rules whose pattern is like a name, or like a folder that it is in, the last decides. A name that no rule is
    about is chosen, unless the first rule includes. A pattern without a slash is like any segment of a name; one with
    a slash is like the beginning of the name, and with a slash at its end like folders only.

    Args:
        rules: Whether to include, and a pattern, in the order in which they were given.
    """

    def __init__(self, rules: Iterable[tuple[bool, str]] = ()) -> None:
        self._rules = [(include, _Pattern(pattern)) for include, pattern in rules]
        self._otherwise = not (self._rules and self._rules[0][0])

    def __call__(self, name: str) -> bool:
        """Return whether a name, its segments separated by slashes, is chosen."""
        if not self._rules:
            return True
        segments = name.split("/")
        for include, pattern in reversed(self._rules):
            if pattern.is_like(segments):
                return include
        return self._otherwise


class _Pattern:
    def __init__(self, text: str) -> None:
        self._folders_only = text.endswith("/")
        segments = text.strip("/").split("/")
        # Anywhere, unless a slash within it, or at its beginning, says where.
        self._segments = segments if text.rstrip("/").count("/") else ["**", *segments]

    def is_like(self, name: Sequence[str]) -> bool:
        longest = len(name) - self._folders_only
        return any(0 < length <= longest for length in matched_lengths(name, self._segments))


class FilteredCommand(click.Command):
    """A command with ``--include`` and ``--exclude``, whose order on the command line it keeps: the last decides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, and keep the order of the two options, which click has of each alone."""
        options = args[: args.index("--")] if "--" in args else args
        ctx.meta[_GIVEN] = [flag for flag in (each.partition("=")[0] for each in options) if flag in _FLAGS]
        return super().parse_args(ctx, args)


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a `FilteredCommand` its two options, and a `NameFilter` as the argument `chosen`."""

    @click.option("--include", metavar="PATTERN", multiple=True, help="Copy what is like this; see --exclude.")
    @click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out what is like this. The last --include or --exclude that fits decides.",
    )
    @wraps(command)
    def filtered(*arguments: Any, include: tuple[str, ...], exclude: tuple[str, ...], **options: Any) -> None:
        patterns = {"--include": iter(include), "--exclude": iter(exclude)}
        given = click.get_current_context().meta[_GIVEN]
        rules = [(flag == "--include", next(patterns[flag], "")) for flag in given]
        if not all(pattern.strip("/") for _, pattern in rules):
            raise click.UsageError("a pattern of --include or --exclude is empty; give one such as '*.csv'")
        command(*arguments, chosen=NameFilter(rules), **options)

    return filtered
