"""Errors say what happened first, and survive a pickle."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from actorc.controller import errors
from actorc.controller.errors import ControllerUnavailableError, MessageTooLargeError, RemoteFunctionError

DOCUMENT = Path(errors.__file__).parents[2] / "docs" / "errors.md"
BUILTIN = {
    errors.AddressError: ValueError,
    errors.ControllerUnavailableError: ConnectionError,
    errors.ParameterError: TypeError,
    errors.UnknownFunctionError: LookupError,
    errors.PicklingError: pickle.PickleError,
    errors.ControllerTimeoutError: TimeoutError,
}
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\nValueError: no: such key\n'
WIRE = f"ValueError: no: such key\n\n{TRACEBACK}"


def test_a_remote_error_shows_what_the_worker_saw():
    error = RemoteFunctionError.of("f", WIRE)

    assert (error.function, error.error_type, error.error_message) == ("f", "ValueError", "no: such key")
    assert str(error).startswith(
        "'f' raised ValueError on its worker, no: such key\n\nTraceback (most recent call last):"
    )
    assert error.traceback == TRACEBACK


@pytest.mark.parametrize(
    ("wire", "kind", "message"),
    [
        ("KeyError: 'a'", "KeyError", "'a'"),
        ("pkg.mod.OwnError: text\nmore", "pkg.mod.OwnError", "text\nmore"),
        ("SystemExit", "SystemExit", ""),
        ("the worker ended: it was killed", "", "the worker ended: it was killed"),
    ],
)
def test_the_type_is_told_from_the_message(wire, kind, message):
    error = RemoteFunctionError.of("f", wire)

    assert (error.error_type, error.error_message, error.traceback) == (kind, message, "")
    assert str(error).startswith("'f' raised" if kind else "'f' failed on the platform")
    assert not str(error).endswith(", ")


@pytest.mark.parametrize(
    "error",
    [
        RemoteFunctionError.of("f", WIRE),
        ControllerUnavailableError("gone", address="a:1", origin="IGNIS_ADDR", function="f"),
        MessageTooLargeError("large", size=3, function="f"),
        errors.ControllerTimeoutError("late", waited_for="call", seconds=1.5, function="f"),
        errors.PicklingError("no"),
        errors.ParameterError("no", function="f"),
    ],
)
def test_errors_survive_a_pickle(error):
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_errors_are_caught_as_what_they_are():
    assert all(issubclass(ours, builtin) for ours, builtin in BUILTIN.items())


def test_the_document_lists_them():
    own = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.ControllerError)]
    expected = [f"| `{cls.__name__}` |{also(cls)} | {first_line(cls)} |" for cls in own]
    _, _, table = DOCUMENT.read_text().partition("| class | also | |\n| --- | --- | --- |\n")

    assert expected == table.partition("\n\n")[0].splitlines()


def also(cls):
    """Return the class of Python's own that an error is, too, as the document shows it."""
    if cls not in BUILTIN:
        return ""
    module = "pickle." if BUILTIN[cls] is pickle.PickleError else ""
    return f" `{module}{BUILTIN[cls].__name__}`"


def first_line(cls):
    return cls.__doc__.splitlines()[0].rstrip(".").replace("``", "`")
