"""The function of a step as its file defines it today.

A script is not run: blocks under ``if __name__ == "__main__"`` are left out, and `lucas_storage.run` ends it. What it
defines up to there has the module ``__main__``, so that its classes and functions are the same as in the run.
"""

from __future__ import annotations

import ast
import builtins
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from actorc.storage.errors import StorageError
from actorc.storage.rules import MiB
from lucas_storage import current
from lucas_storage.display.markup import visible
from lucas_storage.engine import adapter
from lucas_storage.errors import FunctionLoadError
from lucas_storage.local_service.provision import provide_lucas
from lucas_storage.records.past_run import PastStep
from lucas_storage.shipping.shim import Shim
from lucas_storage.storage import Storage

from .shipped import as_shipped

_MAIN: Final = "__main__"
_BLOCK: Final = re.compile(r"# (?P<file>.+), line [0-9]+")
"""The first line of a recorded source."""


def shim_in(made: Any) -> Shim | None:
    """Return the decorated function in what ``@function`` or ``@with_storage`` made; None if it is neither."""
    found = adapter.function_within(made) or made
    return found if isinstance(found, Shim) else None


@contextmanager
def as_today(storage: Storage, step: PastStep, place: str | None = None) -> Iterator[Shim]:
    """Yield the decorated function of a step from its module or script, which stays the main module within the body.

    Args:
        storage: Holds the source, and the function as it was, which say where it is.
        step: The step.
        place: File or module, and behind a colon the name in it; None takes those of the record.

    Raises:
        FunctionLoadError: It is not there, or the record does not say where it is.
    """
    where, name = place_of(storage, step, place)
    with _defining(where, step) as module:
        try:
            made = reduce(getattr, name.split("."), module)
        except AttributeError:
            raise _not_there(step, f"{where} defines no {name!r} before it runs its workflow") from None
        found = shim_in(made)
        if found is None:
            raise _not_there(step, f"{name!r} in {where} is no function with @with_storage")
        yield found


def place_of(storage: Storage, step: PastStep, place: str | None = None) -> tuple[str, str]:
    """Return the module or file of a function, and its name there, with the arguments of `as_today`.

    Raises:
        FunctionLoadError: Nobody can know.
    """
    if place is not None:
        where, colon, name = place.rpartition(":")
        return (where, name) if colon and name.replace(".", "_").isidentifier() else (place, step.function)
    # By the signed function alone: a record may be a stranger's, and would choose a file of this machine to be run.
    try:
        shipped = as_shipped(storage, step)
    except FunctionLoadError as error:
        raise _not_there(step, f"no signed record says where it is{_hint(storage, step)}") from error
    if "<locals>" in shipped.__qualname__:
        raise _not_there(
            step, f"it was defined within {shipped.__qualname__.partition('.')[0]!r}, where nobody finds it"
        )
    is_script = shipped.__module__ == _MAIN
    return unwrap(shipped.__wrapped__).__code__.co_filename if is_script else shipped.__module__, shipped.__qualname__


def _hint(storage: Storage, step: PastStep) -> str:
    """Return where an unsigned record says that the function is, to be judged by who reads it."""
    if step.source is None or step.source.format != "text@1" or step.source.size > MiB:
        return ""
    try:
        text = storage.get(step.source)
    except StorageError:
        return ""
    found = _BLOCK.match(text) if isinstance(text, str) else None
    return "" if found is None else f", and an unsigned one says {visible(found['file'])}"


@contextmanager
def _defining(where: str, step: PastStep) -> Iterator[ModuleType]:
    """Yield a module with its definitions; everything is as before behind the body, but for imported modules."""
    provide_lucas()
    is_file = where.endswith(".py") or os.sep in where
    path, main, argv, variables = list(sys.path), sys.modules[_MAIN], list(sys.argv), dict(os.environ)
    sys.path.insert(0, str(Path(where).resolve().parent if is_file else Path.cwd()))
    try:
        yield _script(where, step) if is_file else _imported(where, step)
    finally:
        sys.path[:], sys.argv[:], sys.modules[_MAIN] = path, argv, main
        os.environ.clear()
        os.environ.update(variables)


def _imported(name: str, step: PastStep) -> ModuleType:
    try:
        with current.defining():
            return import_module(name)
    except current.WorkflowReachedError:
        raise _not_there(step, f"the module {name} runs its workflow while it is imported") from None
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise _not_there(step, f"there is no module {name} on the path") from error


def _script(file: str, step: PastStep) -> ModuleType:
    try:
        with io.open_code(str(Path(file).absolute())) as source:
            tree = ast.parse(source.read(), file)
    except OSError as error:
        raise _not_there(step, f"{file} cannot be read ({error.strerror})") from error
    main = ModuleType(_MAIN)
    main.__dict__.update(__builtins__=builtins, __file__=str(Path(file).absolute()), __cached__=None)
    sys.modules[_MAIN], sys.argv[:] = main, [file]
    code = compile(_without_guarded(tree), file, "exec", dont_inherit=True)
    # SystemExit as well: a script that is given no arguments may end itself, behind its definitions.
    with current.defining(), suppress(current.WorkflowReachedError, SystemExit):
        exec(code, main.__dict__)  # noqa: S102  # the definitions of the user's own script are what is asked for
    return main


def _without_guarded(tree: ast.Module) -> ast.Module:
    """Return a module without what it does only if it is the main one."""
    body: list[ast.stmt] = []
    for statement in tree.body:
        is_guarded = isinstance(statement, ast.If) and any(map(_asks_for_main, ast.walk(statement.test)))
        body += statement.orelse if is_guarded and isinstance(statement, ast.If) else [statement]
    return ast.Module(body, tree.type_ignores)


def _asks_for_main(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == _MAIN for side in sides
    )


def _not_there(step: PastStep, why: str) -> FunctionLoadError:
    return FunctionLoadError(
        f"{step.function!r} cannot be run as it is today; {why}; name it with --from FILE:NAME or --from MODULE:NAME",
        function=step.function,
    )
