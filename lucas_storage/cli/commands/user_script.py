"""Runs a user's script as Python itself would."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from lucas_storage._tracebacks import shorten
from lucas_storage.cli.output.exit_codes import INTERRUPTED


def place_path(script: str) -> None:
    """Let imports find the script's neighbours first, as ``python SCRIPT`` does."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = str(Path(script).resolve().parent)


def run_as_main(script: str, arguments: Sequence[str]) -> None:
    """Run a script as the module ``__main__``.

    Its functions and classes can be pickled by name afterwards, and live until the end of the process. An error that
    the script does not catch is shown as Python shows it, beginning with the script's own frame.

    Args:
        script: Path of the file.
        arguments: Its ``sys.argv[1:]``.

    Raises:
        SystemExit: The script raised it, or an error that was shown.
    """
    main = ModuleType("__main__")
    file = str(Path(script).absolute())
    loader = SourceFileLoader("__main__", file)
    main.__dict__.update(__builtins__=builtins, __file__=file, __cached__=None, __loader__=loader)
    # Kept after the script ends: threads and exit handlers use it, and pickles of its classes name it.
    sys.modules["__main__"] = main
    sys.argv[:] = [script, *arguments]
    try:
        with io.open_code(file) as source:
            # Else the script would get the `__future__` imports of this module.
            code = compile(source.read(), file, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102  # running the script is what the user asks for
    except SystemExit:
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BaseException as error:  # noqa: BLE001  # shown as the interpreter would show it, without frames of this module
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        shorten(error)
        sys.excepthook(type(error), error, error.__traceback__)
        raise SystemExit(1) from None
