"""`doctor`: checks the installation, the connection and the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Final

import click

from actorc.storage.errors import StorageError
from lucas_storage.cli.output.exit_codes import FAILED
from lucas_storage.cli.output.failures import line
from lucas_storage.cli.printing import printable, wrapped
from lucas_storage.cli.session import Session, reading

from .doctor_checks import FAIL, CheckResult, check_machine, check_server

_INDENT: Final = 19
"""Columns before what was found."""


@click.command()
@reading
def doctor(session: Session) -> None:
    """Look at this installation, the server and the way there, and say what to do about what is wrong.

    Each line begins with ok, warn or fail; a single fail makes the exit code 1. A small object is written, read and
    deleted where results of workflows go, if that is allowed.
    """
    failed = False
    for answer in chain(check_machine(session.settings), _server(session)):
        advice = f"; {answer.advice}" if answer.advice else ""
        text = printable(f"{answer.status:<4}  {answer.about:<11}  {answer.found}{advice}")
        session.emit(asdict(answer), wrapped(text, _INDENT))
        failed = failed or answer.status == FAIL
    if failed:
        raise click.exceptions.Exit(FAILED)


def _server(session: Session) -> Iterator[CheckResult]:
    try:
        client = session.client()
    except StorageError as error:
        return iter([CheckResult(about="endpoint", status=FAIL, found=line(error), advice="mend what it names")])
    return check_server(client, session.origin(), session.key_origin(), session.settings.bucket.value)
