"""Runs whose steps are replayed."""

from __future__ import annotations

import pytest

from lucas_storage import run
from lucas_storage.embedded import function, workflow
from lucas_storage.records import run_history
from lucas_storage.replay.replay import replay
from lucas_storage.replay.selection import step_of
from lucas_storage.replay.shipped import as_shipped


@pytest.fixture(autouse=True)
def _nothing_registered(empty_registry):
    """Every test has functions and workflows of its own."""


@pytest.fixture
def ran(storage):
    """Run steps, each on the result of the one before, and return the run as it was recorded."""

    def recorded(*bodies, fails=None, **inputs):
        made = [function(body) for body in bodies]

        @workflow
        def study(wf):
            given = {name: wf.input()[name] for name in inputs}
            for step, body in zip(made, bodies, strict=True):
                name = body.__name__
                del step
                result = wf.call(name, given)
                given = {"x": result}
            return result

        if fails is None:
            run(study, inputs, materialize=False)
        else:
            with pytest.raises(fails):
                run(study, inputs)
        return run_history.find(storage, "last")

    return recorded


@pytest.fixture
def again(storage):
    """Replay a step as it was."""

    def replayed(past, name=None, changed=None):
        step = step_of(past, name)
        return replay(past, step, as_shipped(storage, step), changed)

    return replayed


@pytest.fixture
def stored(storage):
    """All objects with their generations; two that are equal mean that nothing was written in between."""

    def heads():
        return {
            (bucket["name"], head["key"]): head["generation"]
            for bucket in storage.list_buckets()
            for head in storage.iter_objects(bucket["name"])
        }

    return heads
