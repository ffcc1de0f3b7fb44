"""Printing: text in the encoding of the terminal, and JSON lines for programs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from actorc.storage.units import shown_size


def print_record(record: Mapping[str, Any]) -> None:
    """Print one JSON object as a line of its own, in ASCII where standard output takes nothing else."""
    import json  # noqa: PLC0415  # a command that prints text need not load these two

    from actorc.storage import to_json  # noqa: PLC0415

    # Escapes of JSON rather than a question mark: a program reads the same text in every locale.
    line = json.dumps(record, default=to_json, ensure_ascii=False)
    click.echo(line if _is_writable(line) else json.dumps(record, default=to_json))


def printable(text: str) -> str:
    """Return `text` with unprintable characters escaped: keys are chosen by strangers, and could drive the terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def printable_lines(text: str) -> str:
    """Return `text`, which has the lines that it should have, with everything else as `printable` has it."""
    return "\n".join(map(printable, text.split("\n")))


def wrapped(text: str, indent: int) -> str:
    """Return a line, on a terminal that it does not fit on as several, those below the first with an indent.

    Elsewhere it stays one, so that `grep` finds it.
    """
    width = terminal_width()
    if width is None or len(text) <= width:
        return text
    import textwrap  # noqa: PLC0415  # of use to few commands only

    return textwrap.fill(
        text, max(width, indent + 20), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is; None if it is none."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns) or None
    except (ValueError, OSError):
        return None


def size_column(size: int, *, readable: bool) -> str:
    """Return a size for a column of sizes, in bytes or, if it is to be `readable`, in a unit of 1024."""
    return f"{shown_size(size) if readable else size:>12}"


def shown_time(moment: datetime) -> str:
    """Return a moment to the second, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def escape_unencodable() -> None:
    """Let standard output and error escape characters that are not in their encoding, instead of raising.

    Names of files that are no Unicode have such characters, and in the C locale all text beyond ASCII.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_writable(line: str) -> bool:
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
