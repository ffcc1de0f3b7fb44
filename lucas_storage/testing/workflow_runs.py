"""Runs of workflows in tests, where functions of the same name from several modules are registered at the same time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from lucas_storage import embedded
from lucas_storage._run import run
from lucas_storage.engine import adapter


def runner(module: str) -> Callable[..., Any]:
    """Return `run` for the tests of a module; the embedded engine is `lucas` from now on if nothing else is.

    Lucas finds a step by its name among all functions of the process, the latest first, and tests are run after all
    their modules have been imported. So a workflow gets the functions of its own module, and of the module of the test,
    before those of others.
    """
    embedded.install()

    def run_workflow(workflow: Any, inputs: Mapping[str, Any] | None = None, *, materialize: bool = True) -> Any:
        _prefer_functions_around(workflow, module)
        return run(workflow, inputs, materialize=materialize)

    return run_workflow


def _prefer_functions_around(workflow: Any, module: str) -> None:
    # This very list is what the graphs of earlier decorations look at, too.
    functions: list[Any] = import_module("lucas").routeBuilder.funcs
    modules = {_module_of(entry) for entry in functions}
    near = {name for name in modules if name == module or _has(sys.modules.get(name), workflow)}
    functions.sort(key=lambda entry: _module_of(entry) in near)  # stable: otherwise in the order of registration


def _module_of(entry: Any) -> str:
    """Return the name of the module of a registered function; older versions of Lucas register its handler alone."""
    function = adapter.function_within(getattr(entry, "function", None)) or adapter.enclosed(entry.handler)
    return getattr(function, "__module__", None) or ""


def _has(module: Any, thing: object) -> bool:
    return module is not None and any(value is thing for value in vars(module).values())
