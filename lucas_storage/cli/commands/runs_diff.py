"""`runs diff`: tells how two runs differ."""

from __future__ import annotations

import click

from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.completion.parameters import RUNS
from lucas_storage.cli.output.exit_codes import DIFFERENT, failing_with_2
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading


@click.command("diff")
@click.argument("before", required=False, default="last~1", metavar="[A", shell_complete=RUNS)
@click.argument("after", required=False, default="last", metavar="[B]]", shell_complete=RUNS)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code tells.")
@reading
def diff(session: Session, before: str, after: str, *, quiet: bool) -> None:
    """Tell how two runs differ.

    A and B are beginnings of ids of runs, 'last' or, for those before it, 'last~1', 'last~2' and so on; without them,
    the last two are compared.

    The first step whose inputs are equal and whose result is not is told with the lines of its source that differ, and
    how its results do; then the other steps, parameters, package versions, Python and machine.

    The exit code is 0 if both did the same and 1 if not; what failed otherwise with 1 is 2. Times, the machine, its
    packages, and whether a result was reused do not count.
    """
    # Of use to this command only, and slow to load.
    from lucas_storage.lineage import run_diff, run_diff_text  # noqa: PLC0415
    from lucas_storage.records.run_history import find  # noqa: PLC0415

    with failing_with_2(), artifacts(session) as storage:
        found = run_diff.run_diff(storage, find(storage, before), find(storage, after))
    if not quiet:
        session.emit(found.to_json(), None)
        if not session.as_json:
            click.echo("\n".join(map(printable, run_diff_text.lines(found))))
    if not found.is_equal:
        raise click.exceptions.Exit(DIFFERENT)
