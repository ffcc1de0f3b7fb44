"""The functions that a step in rt style calls by name: those of its run, and those of this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

from lucas_storage.embedded.runtime import LocalOnceRuntime
from lucas_storage.local_service.provision import provide_lucas
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.steps.contract import contract_of_shim
from lucas_storage.storage import storage_for

from .shipped import as_shipped

Handlers: TypeAlias = Mapping[str, Callable[[Any], Any]]


def handlers(run: PastRun, *, today: bool) -> Handlers:
    """Return the functions by name, each to be called with its parameters as they travel.

    Args:
        run: Its steps have their functions as they were, which are opened when they are called.
        today: Whether those that are registered in this process come first.
    """
    provide_lucas()
    registered = {entry.name: entry.handler for entry in import_module("lucas").routeBuilder.funcs}
    recorded = {step.function: partial(_called, run, step) for step in run.steps if step.shipped is not None}
    return {**recorded, **registered} if today else {**registered, **recorded}


def _called(run: PastRun, step: PastStep, parameters: Any) -> Any:
    function = as_shipped(storage_for(), step)
    contract = contract_of_shim(function)
    if contract is not None and contract["runtime"]:
        return function(LocalOnceRuntime.serving(parameters, handlers(run, today=False)))
    return function(parameters)
