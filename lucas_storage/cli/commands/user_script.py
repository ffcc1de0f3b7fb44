"""Runs a user's script or module as Python itself would."""

from __future__ import annotations

import builtins
import importlib.util
import io
import sys
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from lucas_storage.cli import garbage_collection
from lucas_storage.cli.quiet_end import INTERRUPTED
from lucas_storage.display.tracebacks import shown_short


def place_path(script: str | None) -> None:
    """Let imports find the script's neighbours first, or for None what is in this directory, as Python does."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = str(Path(script).resolve().parent if script else Path.cwd())


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
    file = str(Path(script).absolute())
    main = _main(__file__=file, __loader__=SourceFileLoader("__main__", file))
    sys.argv[:] = [script, *arguments]

    def run() -> None:
        with io.open_code(file) as source:
            # Else the script would get the `__future__` imports of this module.
            code = compile(source.read(), file, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102  # running the script is what the user asks for

    _run(run)


def run_module_as_main(name: str, arguments: Sequence[str]) -> None:
    """Run a module, or the ``__main__`` of a package, as ``python -m`` does; see `run_as_main`.

    Args:
        name: Its full name.
        arguments: Its ``sys.argv[1:]``.

    Raises:
        SystemExit: The module raised it, an error was shown, or there is no such module.
    """
    sys.argv[:] = ["-m", *arguments]  # as Python has it while packages around the module are imported

    def run() -> None:
        spec, code = _found(name)
        # Children of `multiprocessing` import the module again by the name in its spec.
        main = _main(__file__=spec.origin, __loader__=spec.loader, __spec__=spec, __package__=spec.parent)
        sys.argv[0] = spec.origin or name
        exec(code, main.__dict__)  # noqa: S102  # running the module is what the user asks for

    _run(run)


def _found(name: str) -> tuple[ModuleSpec, CodeType]:
    """Return a module that can be run, and its code.

    Raises:
        SystemExit: There is none of this name, with a message.
    """
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError) as error:
        # An error within a package around it is shown with its traceback.
        if isinstance(error, ModuleNotFoundError) and not f"{name}.".startswith(f"{error.name}."):
            raise
        raise SystemExit(f"lucas-storage: {error}") from None
    if spec is None:
        raise SystemExit(f"lucas-storage: No module named {name!r}")
    if spec.submodule_search_locations is not None:
        if name.endswith(".__main__"):
            raise SystemExit(f"lucas-storage: {name!r} is a package and cannot be run")
        return _found(f"{name}.__main__")
    code = spec.loader.get_code(name) if isinstance(spec.loader, InspectLoader) else None
    if code is None:
        raise SystemExit(f"lucas-storage: {name!r} has no code of Python and cannot be run")
    return spec, code


def _main(**attributes: object) -> ModuleType:
    """Return a new module ``__main__``, in the place of the present one."""
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __cached__=None, **attributes)
    # Kept after the script ends: threads and exit handlers use it, and pickles of its classes name it.
    sys.modules["__main__"] = main
    return main


def _run(code: Callable[[], None]) -> None:
    """Run the code of a user, and show an error that it does not catch, without the frames of this module."""
    garbage_collection.make_usual()
    try:
        code()
    except SystemExit:
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BaseException as error:  # noqa: BLE001  # shown as the interpreter would show it
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals is globals():
            trace = trace.tb_next
        error.__traceback__ = trace
        with shown_short(error):
            sys.excepthook(type(error), error, error.__traceback__)
        raise SystemExit(1) from None
