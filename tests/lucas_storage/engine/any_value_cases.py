"""Any value through a workflow: it arrives equal, of the same types, and is each step's own; on the engine `lucas` is.

python any_value_cases.py EXAMPLES STYLE…    with what the platform needs in the environment
"""

from __future__ import annotations

import os
import sys
import warnings

warnings.simplefilter("ignore")  # genuine Lucas speaks pydantic 1

from hypothesis import HealthCheck, given, settings  # noqa: E402

from lucas_storage import run, with_storage  # noqa: E402
from lucas_storage.embedded import install  # noqa: E402
from tests.lucas_storage.values.nested_values import edit, form, values  # noqa: E402

install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine


class Identity(lucas.Function):
    """Functions that get one dict, as with ignis's wrapper."""

    def _transformfunction(self, fn):
        return fn


def rt_style(body):
    def step(rt):
        return body(**rt.input())

    return step, {}


def dict_style(body):
    def step(params):
        return body(**params)

    return step, {"provider": "identity", "wrapper": Identity}


def actor_style(body):
    from actorc.controller import ActorFunction

    return body, {"wrapper": ActorFunction, "provider": "actor", "venv": "any", "replicas": 1}


STYLES = {"rt": rt_style, "names": lambda body: (body, {}), "dict": dict_style, "actor": actor_style}


def produce(given):
    return given


def spoil(given):
    shape = repr(form(given))
    edit(given)
    return shape


def again(given, seen):
    return [given, seen]


def workflow_in(style):
    for role, body in (("produce", produce), ("spoil", spoil), ("again", again)):
        step, options = STYLES[style](body)
        step.__name__ = step.__qualname__ = f"{style}_{role}"
        lucas.function(name=f"{style}_{role}", **options)(with_storage(step))
    executor = {}
    if style == "actor":
        from actorc.controller import ActorContext, ActorExecutor

        ActorContext.createContext()
        executor = {"executor": ActorExecutor}

    def flow(wf):
        made = wf.call(f"{style}_produce", {"given": wf.input()["given"]})
        seen = wf.call(f"{style}_spoil", {"given": made})
        return wf.call(f"{style}_again", {"given": made, "seen": seen})

    flow.__name__ = f"{style}_flow"
    return lucas.workflow(**executor)(flow)


def check(flow, value):
    before = form(value)
    arrived, seen = run(flow, {"given": value})

    assert form(value) == before, "the caller's value was changed"
    assert seen == repr(before), f"the step saw {seen} of {before}"
    assert form(arrived) == before, f"{arrived!r} arrived of {value!r}"


def checked(flow):
    def one(value):
        check(flow, value)

    return one


def main(examples, *styles):
    os.environ.setdefault("LUCAS_STORAGE_PROGRESS", "0")
    for style in styles:
        flow = workflow_in(style)
        quiet = settings(
            max_examples=int(examples), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        quiet(given(values)(checked(flow)))()
        print(f"right {style}", flush=True)


main(*sys.argv[1:])
