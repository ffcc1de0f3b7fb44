"""`replay`: runs one step of a past run again, and says whether the result is the same."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.completion.parameters import RUNS, STEPS
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.output.exit_codes import DIFFERENT, FAILED
from lucas_storage.cli.post_mortem import check_terminal, debug
from lucas_storage.cli.printing import printable, printable_lines
from lucas_storage.cli.session import Session, reading
from lucas_storage.display.markup import visible
from lucas_storage.display.tracebacks import shown_short
from lucas_storage.lineage.replays import run_again
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.records.run_history import find
from lucas_storage.replay import pytest_file
from lucas_storage.replay.functions import function_of
from lucas_storage.replay.replay import Replay, inputs_of
from lucas_storage.replay.selection import step_of

_FILE: Final = LocalPath(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run", shell_complete=RUNS)
@click.argument("step", required=False, shell_complete=STEPS)
@click.option("--today", is_flag=True, help="Run the function as it is today, and not as it was.")
@click.option("--from", "place", metavar="PLACE", help="Where it is today: FILE, MODULE, FILE:NAME or MODULE:NAME.")
@click.option("--given", metavar="NAME=JSON", multiple=True, help="A value in place of the recorded one.")
@click.option("--pdb", "debugs", is_flag=True, help="Stop in the line that raises, with the variables of the step.")
@click.option("--pytest", "test", type=_FILE, metavar="FILE", help="Write a test that does the same as --today.")
@click.option("--force", is_flag=True, help="Replace the file of --pytest if it exists.")
@reading
def replay(
    session: Session,
    run: str,
    step: str | None,
    *,
    today: bool,
    place: str | None,
    given: tuple[str, ...],
    debugs: bool,
    test: Path | None,
    force: bool,
) -> None:
    """Run one step of a run again, alone, on the very inputs that it had.

    RUN is the beginning of a run's id, or 'last'. STEP is the name of a function, 'NAME#2' for the second of several
    steps of it, or the beginning of a step's key; without it, the step that failed.

    The step runs in this process, as it was shipped, and leaves nothing in the store. The exit code is 0 if the result
    is the same bit for bit, and 1 if it is not, or if the step raises.
    """
    if debugs:
        check_terminal()
    changed = dict(map(_changed, given))
    with artifacts(session) as storage:
        past = find(storage, run)
        chosen = step_of(past, step)
        if test is not None:
            bundle, now = pytest_file.write(storage, past, chosen, test, place=place, replace=force)
            _tell_test(session, test, bundle, now)
            return
        # Both before anything runs: what cannot be replayed is an error at once.
        inputs_of(chosen, changed)
        with function_of(storage, chosen, today=today, place=place) as function:
            called = partial(
                run_again, past, chosen, function, changed, today=today or place is not None, whole_process=True
            )
            _replay(session, past, chosen, called, debugs=debugs)


def _tell_test(session: Session, test: Path, bundle: Path, now: Replay) -> None:
    text = f"wrote {printable(str(test))} and {printable(bundle.name)}"
    session.emit({"file": str(test), "bundle": str(bundle), **_record(now)}, text)
    if not now.is_identical and not session.as_json:
        click.echo(f"lucas-storage: the test fails as of now; {printable_lines(str(now))}", err=True)


def _replay(session: Session, run: PastRun, step: PastStep, run_step: Callable[..., Replay], *, debugs: bool) -> None:
    told: list[BaseException] = []

    def failed(error: BaseException) -> None:
        if not _is_about_inputs(error):
            told.append(error)
            with shown_short(error):
                sys.excepthook(type(error), error, error.__traceback__)
            if debugs:
                debug(error)

    try:
        with _printing_aside(session):
            done = run_step(failed=failed)
    except (Exception, SystemExit):
        if told:
            _emit_failure(session, run, step, told[0])
            raise click.exceptions.Exit(FAILED) from None
        raise
    session.emit(_record(done), printable_lines(str(done)))
    if debugs:
        click.echo("lucas-storage: the step raised nothing, so there is nothing to debug", err=True)
    if done.verdict == "different":
        raise click.exceptions.Exit(DIFFERENT)


@contextlib.contextmanager
def _printing_aside(session: Session) -> Iterator[None]:
    """Let what the step prints go to standard error where programs read the output."""
    with contextlib.redirect_stdout(sys.stderr) if session.as_json else contextlib.nullcontext():
        yield


def _is_about_inputs(error: BaseException) -> bool:
    """Return whether an error was raised before the function was called."""
    from lucas_storage.errors import ArtifactError  # noqa: PLC0415  # as elsewhere in the command line

    return isinstance(error, ArtifactError) and error.param is not None


def _emit_failure(session: Session, run: PastRun, step: PastStep, error: BaseException) -> None:
    name = type(error).__name__
    before = f"failed with {step.error} in the run, too" if step.error == name else _before(step)
    text = f"{visible(step.function)}: failed with {visible(name)}; it {visible(before)}"
    fields = {"run": run.key, "step": step.key, "function": step.function, "verdict": "failed", "error": name}
    session.emit({**fields, "recorded_error": step.error, "message": str(error)}, text)


def _before(step: PastStep) -> str:
    return "succeeded in the run" if step.error is None else f"failed with {step.error} in the run"


def _record(done: Replay) -> dict[str, Any]:
    return {
        "run": done.run,
        "step": done.step.key,
        "function": done.step.function,
        "verdict": done.verdict,
        "differences": done.differences,
        "causes": done.causes,
        "recorded_error": done.step.error,
    }


def _changed(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        hint = f"; a text is {name}={json.dumps(value)}" if equals else ""
        raise click.UsageError(f"--given takes NAME=JSON, and {text!r} is not that{hint}") from None
