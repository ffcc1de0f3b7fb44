"""`with_storage` at decoration, and how a decorated function answers the three ways engines call functions."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from actorc.storage import StorageClient
from lucas_storage import ArtifactRef, Storage, with_storage
from lucas_storage.embedded import Lambda, Runtime, function, workflow
from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime

EXTRAS = {"sessionID": "s", "instanceID": "i", "name": "n"}


def runtime(given, **functions):
    return LocalOnceRuntime.serving(given, functions)


@with_storage
def area(width: int, height: int = 2) -> int:
    """Multiply."""
    return width * height


@with_storage
def keys(params):
    return sorted(params)


def test_it_keeps_name_doc_module_and_the_plain_function():
    assert ("area", "Multiply.", __name__) == (area.__name__, area.__doc__, area.__module__)
    assert area.__wrapped__(3, 4) == 12
    assert repr(area) == f"<with_storage {__name__}.area>"


@pytest.mark.parametrize(
    "annotation", [Storage, StorageClient, "Storage", "StorageClient | None", "lucas_storage.Storage"]
)
def test_a_parameter_annotated_storage_is_injected_and_hidden(annotation, settings):
    def step(x, handle):
        return isinstance(handle, Storage), handle.store_name

    step.__annotations__["handle"] = annotation
    decorated = with_storage(step)

    assert list(inspect.signature(decorated).parameters) == ["x"]
    assert decorated(x=1) == (True, "default")


def test_a_parameter_named_storage_is_injected_and_hidden(settings):
    @with_storage
    def step(x, storage):
        return isinstance(storage, StorageClient)

    assert list(inspect.signature(step).parameters) == ["x"]
    assert step({"x": 1}) is True


def test_options_are_taken_in_parentheses():
    @with_storage(store="default", inline_max=10, pickle=False)
    def step(x):
        return x

    assert step(x=1) == 1


@pytest.mark.parametrize("option", ["access_key", "secret_key", "endpoint", "signing_key"])
def test_credentials_are_refused_because_they_would_be_shipped(option):
    with pytest.raises(TypeError, match="never shipped to workers"):
        with_storage(**{option: "value"})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cach": True}, "no option 'cach'"),
        ({"inline_max": "64"}, "inline_max as int, not str"),
        ({"inline_max": True}, "inline_max as int, not bool"),
        ({"store": 1}, "store as str"),
        ({"pickle": "yes"}, "pickle as bool"),
    ],
)
def test_wrong_options_are_refused_at_once(options, error):
    with pytest.raises(TypeError, match=error):
        with_storage(**options)


def test_a_negative_limit_is_refused_at_once():
    with pytest.raises(ValueError, match="inline_max"):
        with_storage(inline_max=-1)


def test_above_function_is_refused():
    made = function(lambda rt: None)

    with pytest.raises(TypeError, match="directly above def, below @function"):
        with_storage(made)


def test_above_workflow_is_refused():
    @workflow
    def flow(wf):
        return 1

    with pytest.raises(TypeError, match=r"through lucas_storage.run\(\)"):
        with_storage(flow)


def test_twice_is_refused():
    with pytest.raises(TypeError, match="'area' has @with_storage twice"):
        with_storage(area)


@pytest.mark.parametrize("target", [partial(print), 3, int, len])
def test_what_was_not_written_with_def_is_refused(target):
    with pytest.raises(TypeError, match="takes a function written with def"):
        with_storage(target)


def test_parameters_that_cannot_arrive_by_name_are_refused():
    def many(*values):
        return values

    def first(value, /):
        return value

    with pytest.raises(TypeError, match=r"'.*many' takes \*values"):
        with_storage(many)
    with pytest.raises(TypeError, match="by position only"):
        with_storage(first)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(width=3, height=4),
        lambda f: f({"width": 3, "height": 4}),
        lambda f: f(runtime({"width": 3, "height": 4})),
        lambda f: f({"width": 3, "height": 4, **EXTRAS}),
        lambda f: f(width=3, height=4, **EXTRAS),
        lambda f: f(3, 4),
        lambda f: f(3, height=4),
    ],
    ids=["keywords", "dict", "runtime", "dict-extras", "keywords-extras", "positions", "mixed"],
)
def test_a_function_of_names_answers_every_convention(call):
    assert call(area) == 12


@pytest.mark.parametrize(
    "call", [lambda f: f(width=3), lambda f: f({"width": 3}), lambda f: f(runtime({"width": 3})), lambda f: f(3)]
)
def test_defaults_fill_what_the_engine_leaves_out(call):
    assert call(area) == 6


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f({"file": 1, "bucket": 2}),
        lambda f: f(file=1, bucket=2),
        lambda f: f(runtime({"file": 1, "bucket": 2})),
        lambda f: f({"file": 1, "bucket": 2, **EXTRAS}),
        lambda f: f({"params": {"file": 1, "bucket": 2}}),
    ],
    ids=["dict", "keywords", "runtime", "extras", "by-name"],
)
def test_a_single_parameter_gets_the_whole_dict(call):
    assert call(keys) == ["bucket", "file"]


def test_a_call_without_anything_lacks_the_single_parameter():
    with pytest.raises(TypeError, match=r"^'keys' did not get 'params'; it takes 'params'$"):
        keys()
    # An engine that has no inputs for a function passes them all the same.
    assert keys({}) == []
    assert keys(runtime({})) == []


def test_a_keyword_that_is_no_parameter_is_refused_unless_the_parameter_is_for_all():
    @with_storage
    def halved(value=None):
        return value

    with pytest.raises(TypeError, match=r"^'halved' got 'vlaue', which it does not take; it takes 'value'$"):
        halved(vlaue=4)
    with pytest.raises(TypeError, match="got 'other', which it does not take"):
        halved(value=4, other=1)
    # By position it is a dict like any other, or that of an engine.
    assert halved({"vlaue": 4}) == {"vlaue": 4}
    assert halved(runtime({"vlaue": 4})) == {"vlaue": 4}


def test_a_name_of_the_users_own_is_no_extra():
    assert keys({"name": 1, "size": 2}) == ["name", "size"]


def test_an_extra_that_the_function_names_is_given():
    @with_storage
    def who(x, name):
        return x, name

    assert who({"x": 1, **EXTRAS}) == (1, "n")


def test_a_single_parameter_gets_what_is_no_dict():
    assert with_storage(lambda x: x)([1, 2]) == [1, 2]
    assert with_storage(lambda x: x)(runtime([1, 2])) == [1, 2]


def test_surplus_names_reach_double_star_parameters():
    @with_storage
    def step(x, **rest):
        return x, rest

    assert list(inspect.signature(step).parameters) == ["x"]
    assert step({"x": 1, "y": 2}) == (1, {"y": 2})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "'area' did not get 'width'"),
        ({"height": 1}, "'area' did not get 'width'"),
        ({"width": 1, "depth": 1}, "'area' got 'depth', which it does not take"),
        ({"with": 1}, "did not get 'width' and got 'with'"),
    ],
)
def test_missing_and_surplus_parameters_are_named(given, message):
    with pytest.raises(TypeError, match=message):
        area(given)


def test_too_many_or_repeated_parameters_are_refused():
    with pytest.raises(TypeError, match="takes 2 parameters and got 3"):
        area(1, 2, 3)
    with pytest.raises(TypeError, match="got the parameter 'width' twice"):
        area(1, width=2)


def test_a_dict_of_inputs_is_not_mistaken_for_a_file():
    @with_storage
    def read(raw: Path):
        return raw

    with pytest.raises(TypeError, match="'read' did not get 'raw' and got 'row'"):
        read({"row": b"x"})


def test_a_placeholder_is_refused():
    with pytest.raises(TypeError, match="parameter 'width' of 'area' is a placeholder"):
        area(width=Lambda())


@pytest.mark.parametrize("name", ["rt", "frt"])
def test_an_rt_function_gets_a_runtime_with_values(name, settings):
    source = f"def step({name}, storage):\n    return {name}.input()['x'].sum().item(), type(storage).__name__"
    scope = {}
    exec(source, scope)
    step = with_storage(scope["step"])

    assert step(runtime({"x": with_storage(lambda n: np.arange(n + 1))(n=3)})) == (6, "Storage")


def test_an_annotated_runtime_makes_an_rt_function():
    @with_storage
    def step(anything: Runtime):
        return anything.input()["x"]

    assert step(runtime({"x": 5})) == 5


def test_an_rt_function_needs_a_runtime():
    @with_storage
    def step(rt):
        return rt.input()

    for call in (partial(step, {"x": 1}), partial(step, x=1), partial(step, rt={"x": 1})):
        with pytest.raises(TypeError, match="takes the runtime 'rt' and this engine passes none"):
            call()


def test_the_runtime_is_a_front_and_the_genuine_one_stays_as_it_is():
    @with_storage
    def step(rt):
        return rt.name, rt.output(3), rt.metadata() is not None

    genuine = runtime({})
    before = dict(vars(genuine))

    assert step(genuine) == ("local-once", 3, True)
    assert before == vars(genuine)


def test_nested_calls_pass_references_and_give_values(settings):
    @with_storage(inline_max=0)
    def inner(data: np.ndarray):
        return {"twice": data * 2}

    @with_storage
    def outer(rt):
        return rt.call("inner", {"data": np.arange(3)})["twice"].tolist()

    assert outer(runtime({}, inner=inner)) == [0, 2, 4]


def test_a_method_is_bound():
    class Scaler:
        factor = 3

        @with_storage
        def scaled(self, x):
            return self.factor * x

    assert Scaler().scaled(x=2) == 6


def test_an_annotated_ref_arrives_as_one():
    @with_storage
    def step(x: ArtifactRef):
        return isinstance(x, ArtifactRef), x.size

    assert step(x=b"abc") == (True, 3)
