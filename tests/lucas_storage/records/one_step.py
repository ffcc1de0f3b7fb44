"""A workflow of one step, and its record."""

from __future__ import annotations

from lucas_storage import with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import run_history


def flow_of(body, *names):
    """Return a workflow of one step, with inputs of these names."""
    function(name=body.__name__)(body if hasattr(body, "__wrapped__") else with_storage(body))

    @workflow
    def flow(wf):
        return wf.call(body.__name__, {name: wf.input()[name] for name in names})

    return flow


def last(storage):
    return run_history.find(storage, "last")
