"""Failures of commands: one line on standard error, an exit code, and JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import click

from actorc.storage.context_variables import bound
from lucas_storage.cli.printing import print_record, printable, printable_lines
from lucas_storage.cli.quiet_end import INTERRUPTED

from .exit_codes import BROKEN_PIPE, FAILED, exit_code
from .wording import worded

# Not an argument, since errors are raised where the options of the command are unknown, or not yet parsed.
_FOR_PROGRAMS: ContextVar[bool] = ContextVar("lucas_storage_for_programs", default=False)


def runs_script(arguments: Sequence[str]) -> bool:
    """Return whether these arguments of the program run a script, whose arguments and output are its own."""
    return next((each for each in arguments if not each.startswith("-")), "") == "run"


def for_programs(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Let `reported` print failures as JSON, too, if these arguments of the program ask for JSON."""
    # After `--` a name may be `--json`.
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return bound(_FOR_PROGRAMS, "--json" in options and not runs_script(arguments))


@contextmanager
def reported(*, debug: bool) -> Iterator[None]:
    """Turn an exception of the body into a line on standard error and an exit code; `debug` adds the traceback.

    For programs, standard output also gets one JSON object with ``error``, ``code``, ``message``, ``bucket`` and
    ``key``. Partial failures have been printed by then, each in an object of its own.
    """
    try:
        yield
        sys.stdout.flush()  # here, so that a full disk or a closed pipe is an error of the command, not of the exit
    except click.exceptions.Exit:
        raise
    except click.ClickException as error:
        # It repeats arguments, which `xargs` may have from a stranger's listing. Set so, since click declares it final.
        error.__dict__["message"] = printable_lines(error.message)
        _print_for_programs({"error": error.format_message(), "code": "Usage", "message": error.format_message()})
        raise
    except (KeyboardInterrupt, click.Abort):
        _print_for_programs({"error": "interrupted", "code": "Interrupted", "message": "interrupted"})
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _forget_output()
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except Exception as error:  # noqa: BLE001  # a person at a terminal has no use for a traceback
        if debug:
            import traceback  # noqa: PLC0415  # slow to load

            traceback.print_exc()
        _print_for_programs(failure(error))
        click.echo(f"lucas-storage: {printable_lines(line(error))}", err=True)
        raise click.exceptions.Exit(exit_code(error)) from None


def _print_for_programs(record: Mapping[str, Any]) -> None:
    if _FOR_PROGRAMS.get():
        try:
            print_record({"bucket": None, "key": None, **record})
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_output()


def described(error: Exception, record: Mapping[str, Any]) -> Exception:
    """Return an error with the fields of its operation, which `failure` adds to the JSON object."""
    error.__dict__["record"] = dict(record)
    return error


def failure(error: Exception) -> dict[str, Any]:
    """Return an error as the fields of a JSON object: ``error`` for people, ``code``, ``message``, bucket and key."""
    fields: dict[str, Any] = dict(error.__dict__.get("record", {}))
    for name in ("bucket", "key"):
        fields[name] = getattr(error, name, None) or fields.get(name)
    from actorc.storage.errors import StorageError  # noqa: PLC0415  # a command that succeeds needs none

    message = worded(error.message) if isinstance(error, StorageError) else line(error)
    return {**fields, "error": line(error), "code": getattr(error, "code", type(error).__name__), "message": message}


def line(error: Exception) -> str:
    """Return the line about an error that people read."""
    from actorc.storage.errors import StorageError  # noqa: PLC0415  # as above

    if isinstance(error, StorageError):
        return f"{place}: {reason(error)}" if (place := place_of(error)) else reason(error)
    if isinstance(error, OSError):
        from actorc.storage.local_server.shared_files import DIRECTORY  # noqa: PLC0415  # as above

        if error.filename is None or not error.strerror:
            return error.strerror or str(error)
        name = os.fsdecode(error.filename)
        # Nobody typed this name: it is where a command keeps its data that is given no other place.
        elsewhere = "; name another directory with --data" if name.endswith(DIRECTORY) else ""
        return f"{printable(name)}: {error.strerror}{elsewhere}"
    return f"a defect of this program, {type(error).__name__} ({error}); run 'lucas-storage --debug …' and report it"


def place_of(error: Exception) -> str:
    """Return ``BUCKET/KEY`` of the object that an error is about, or its bucket; empty if there is none."""
    return printable("/".join(filter(None, (getattr(error, "bucket", None), getattr(error, "key", None)))))


def reason(error: Exception) -> str:
    """Return what happened and what to do next, without names; with the id of the call, if a server failed."""
    # A person who mistyped a name has no use for it; who asks the operator of the server has.
    request = getattr(error, "request_id", "") if exit_code(error) == FAILED else ""
    return f"{worded(getattr(error, 'message', str(error)))}{f' [request {request}]' if request else ''}"


def _forget_output() -> None:
    # The interpreter flushes standard output once more at its end, and would print the error of a closed pipe there.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
