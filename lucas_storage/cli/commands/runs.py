"""`runs`: lists past runs, and shows the steps of one with their inputs and outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from actorc.storage.units import shown_size
from lucas_storage.cli.artifact_handles import artifacts, short
from lucas_storage.cli.completion.parameters import RUNS
from lucas_storage.cli.printing import printable, wrapped
from lucas_storage.cli.session import Session, reading
from lucas_storage.records.past_run import shown_status
from lucas_storage.records.run_history import Mention, PastRun, PastStep, find, recent

from .run_json import json_of

if TYPE_CHECKING:
    from rich.tree import Tree

_DIFF: Final = "diff"
_WIDE: Final = 10_000
_OUTPUT: Final = 1
_SOME: Final = 5
"""References of one value, and lines of a message, that are shown unless all are asked for."""
_COLUMNS: Final = 200
"""Characters of one line of a message that are shown then."""
_STYLES: Final = {"failed": "red", "reused": "cyan", "running": "yellow", "lost": "magenta"}


class _Runs(click.Command):
    """The command `runs`, and `runs diff`: ids are numbers that begin with a digit, so a word is none."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments, by the command `diff` if it is the first."""
        if args[:1] == [_DIFF]:
            from lucas_storage.cli.commands.runs_diff import diff  # noqa: PLC0415  # loaded where it is asked for

            return diff.make_context(f"{info_name} {_DIFF}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_Runs)
@click.argument("run", metavar="[ID]", required=False, shell_complete=RUNS)
@click.option("-n", "--count", type=click.IntRange(min=1), default=20, show_default=True, help="Runs to list.")
@click.option("-l", "--long", is_flag=True, help="Show whole references, and all of them.")
@click.option("--svg", "drawing", flag_value="svg", help="Print the graph of one run as an SVG drawing.")
@click.option("--mermaid", "drawing", flag_value="mermaid", help="Print it as a Mermaid flowchart.")
@reading
def runs(session: Session, run: str | None, *, count: int, long: bool, drawing: str | None) -> None:
    """List the last runs, or show one as a tree of its steps.

    ID is the beginning of a run's id, 'last', or 'last~1' for the one before it.

    'runs diff [A [B]]' tells how two runs differ; see 'lucas-storage runs diff --help'.
    """
    if drawing and run is None:
        raise click.UsageError(f"--{drawing} draws one run; name it, or 'last'")
    with artifacts(session) as storage:
        if drawing and run is not None:
            click.echo(_drawn(find(storage, run), drawing), nl=drawing == "svg")
            return
        if run is not None:
            _show(session, find(storage, run), long=long)
            return
        for past in recent(storage, count):
            session.emit(json_of(past), _line(past))


def _drawn(run: PastRun, drawing: str) -> str:
    # Of use to these two options only.
    from lucas_storage.lineage import graph_mermaid, graph_svg, run_graph  # noqa: PLC0415

    graph = run_graph.graph_of(run).folded()
    return graph_svg.svg(graph) if drawing == "svg" else graph_mermaid.mermaid(graph)


def _line(run: PastRun) -> str:
    reused = sum(step.reused for step in run.steps)
    steps = f"{len(run.steps)} step{'' if len(run.steps) == 1 else 's'}" + (f" ({reused} reused)" if reused else "")
    when = f"{_time(run.started)}  {_seconds(run.seconds):>8}"
    return wrapped(f"{run.key}  {when}  {printable(shown_status(run)):<22}  {printable(run.workflow)}, {steps}", 4)


def _show(session: Session, run: PastRun, *, long: bool) -> None:
    if session.as_json:
        session.emit(json_of(run), None)
        return
    from rich.console import Console  # noqa: PLC0415  # of use to few commands only

    # Lines are wrapped for terminals only, so that `grep` finds whole ones.
    terminal = os.isatty(_OUTPUT)
    Console(width=None if terminal else _WIDE, highlight=False).print(_tree(run, long=long), soft_wrap=True)


def _tree(run: PastRun, *, long: bool) -> Tree:
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    status = printable(shown_status(run))
    head = f"{printable(run.workflow)}  {run.key}  {status}  {_time(run.started)}  {_seconds(run.seconds)}"
    tree = Tree(Text(head, style="bold"))
    for line in _of_whole_run(run):
        tree.add(Text(line, style="dim"))
    for line in _mentions("in", run.inputs, long=long):
        tree.add(Text(line, style="dim"))
    for step in run.steps:
        # `Text` rather than markup: brackets in the name of a function are no style.
        branch = tree.add(Text(_step_line(step, run), style=_STYLES.get(step.state, "")))
        for line in (
            *_message(step.message, long=long),
            *_mentions("in", step.inputs, long=long),
            *_mentions("out", {"": step.outputs}, long=long),
        ):
            branch.add(Text(line, style="dim"))
    for line in _mentions("out", {"": run.outputs}, long=long):
        tree.add(Text(line, style="dim"))
    if run.parallel > 1:
        tree.add(Text(f"up to {run.parallel} steps at the same time", style="dim"))
    return tree


def _of_whole_run(run: PastRun) -> Iterator[str]:
    if run.machine:
        yield f"on {printable(run.machine)}" + (f", Python {printable(run.python)}" if run.python else "")
    if run.status == "lost" and run.heard is not None:
        yield f"nothing was heard of it since {_time(run.heard)}"


def _step_line(step: PastStep, run: PastRun) -> str:
    took = f"since {_time(step.started)}" if step.state in ("running", "lost") else _seconds(step.seconds)
    notes: list[str] = [step.state] if step.state not in ("succeeded", "failed") else []
    if step.error:
        notes.append(printable(step.error))
    if step.attempts:
        notes.append(f"{len(step.attempts)} attempts")
    if step.machine and step.machine != run.machine:
        notes.append(f"on {printable(step.machine)}")
    return "  ".join([printable(step.function), took, *notes])


def _message(text: str | None, *, long: bool) -> Iterator[str]:
    """Yield the lines of the message of an error, by default those that fit into a few."""
    lines = (text or "").splitlines()
    shown = lines if long else [line[:_COLUMNS] for line in lines[:_SOME]]
    yield from map(printable, shown)
    if len(shown) < len(lines):
        yield f"and {len(lines) - len(shown)} more lines"


def _mentions(what: str, found: dict[str, tuple[Mention, ...]], *, long: bool) -> Iterator[str]:
    for name, mentions in found.items():
        head = f"{what} {printable(name)}".rstrip()
        shown = mentions if long else mentions[:_SOME]
        for mention in shown:
            yield f"{head}  {_mention(mention, long=long)}"
        if len(shown) < len(mentions):
            yield f"{head}  and {len(mentions) - len(shown)} more"


def _mention(mention: Mention, *, long: bool) -> str:
    if mention.ref is None:
        return f"{printable(mention.format)} {shown_size(mention.size)} inline"
    # In quotes where a shell needs them, so that 'show' takes it as it is.
    return quote(mention.ref.uri) if long else short(mention.ref)


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f}s"
    return f"{int(seconds // 60)}m{int(seconds % 60):02}s"
