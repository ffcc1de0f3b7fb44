"""The rows as one table of text, as JSON, and as a table between the markers of a document."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .cases import Row

COLUMNS = {
    "what": "what",
    "how": "how",
    "transport": "transport",
    "measured": "median",
    "quartiles": "quartiles",
    "ratio": "ratio",
    "target": "target",
    "met": "met?",
    "cpu": "CPU client + server",
    "memory": "peak client + server",
}
LEFT = {"what", "how", "transport", "target"}
NO_REPETITION = ("what",)


def cells(rows):
    """Return the cells of each row as text; the name of a case stands in its first row alone."""
    last = None
    for row in rows:
        given = {name: getattr(row, name) for name in COLUMNS}
        given["met"] = {True: "yes", False: "no", None: ""}[row.met]
        given["what"] = "" if row.what == last else row.what
        last = row.what
        yield given


def print_table(rows, machine, console=None):
    """Print the rows, with a line between two cases."""
    table = Table(title=machine_line(machine), title_justify="left")
    for name, heading in COLUMNS.items():
        table.add_column(heading, justify="left" if name in LEFT else "right", overflow="fold")
    for number, given in enumerate(cells(rows)):
        if given["what"] and number:
            table.add_section()
        table.add_row(*given.values())
    (console or Console(width=200)).print(table)


def markdown(rows):
    """Return the rows as a table for a document."""
    lines = [_line(COLUMNS.values()), _line("---" for _ in COLUMNS)]
    lines += [_line(each.replace("|", "\\|") for each in given.values()) for given in cells(rows)]
    return "\n".join(lines)


def machine_line(machine):
    """Return the machine and the versions in one sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['memory']}, {machine['file system']}, Linux {machine['linux']}; {versions}."
    )


def summary(rows):
    """Return how many of the targets are met, and the names of the others."""
    judged = [row for row in rows if row.target]
    missed = [f"{row.what} ({row.transport or row.how})" for row in judged if not row.met]
    return f"{len(judged) - len(missed)} of {len(judged)} targets are met" + (
        "; missed: " + "; ".join(missed) if missed else ""
    )


def write_json(path: Path, rows, machine):
    """Write the rows with all their samples, and the machine."""
    text = json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def read_json(path: Path):
    """Return the rows and the machine that `write_json` wrote."""
    read = json.loads(path.read_text())
    known = {each.name for each in fields(Row)}
    rows = [Row(**{name: value for name, value in row.items() if name in known}) for row in read["rows"]]
    return rows, read["machine"]


def write_tables(path: Path, rows, machine):
    """Replace, in a document, the machine, and the tables of the modules that have rows; the others stay."""
    write_between_markers(path, "machine", machine_line(machine))
    for module in dict.fromkeys(row.module for row in rows):
        write_between_markers(path, module, markdown([row for row in rows if row.module == module]))


def write_between_markers(path: Path, name, text):
    """Replace what stands in a document between ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        ValueError: The document has not both markers once, in this order.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    document = path.read_text()
    head, found, rest = document.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed) or begin in rest or end in tail:
        raise ValueError(
            f"{path} has no {begin.strip()} followed by {end}, or more than one; put both where the table goes"
        )
    path.write_text(f"{head}{begin}{text}\n{end}{tail}")


def _line(cells_of_line):
    return f"| {' | '.join(cells_of_line)} |".replace("|  |", "| |").replace("|  |", "| |")
