"""What the platform is told of a function."""

from __future__ import annotations

import pickle
import threading
from types import SimpleNamespace

import pytest

from actorc.controller.client.functions.decorator_keywords import memory_bytes
from actorc.controller.client.functions.definition import PLACE_PARAMETER, Definition
from actorc.controller.errors import ControllerError, PicklingError
from lucas_storage import with_storage
from lucas_storage.shipping.shim import Shim

CONFIG = {"name": "g", "venv": "v", "dependency": ["numpy"], "cpu": 2, "memory": "1Gi", "replicas": 3}


def f(a):
    return a


@pytest.mark.parametrize("config", [CONFIG, SimpleNamespace(**CONFIG)], ids=["dict", "attributes"])
def test_the_keywords_of_the_decorator_arrive_as_a_dict_or_as_attributes(config):
    made = Definition.of(f, config)

    assert (made.name, made.venv, made.requirements, made.replicas) == ("g", "v", ("numpy",), 3)
    assert (made.cpu, made.memory, made.gpu) == (2000, 1 << 30, 0)


def test_what_is_not_given_has_a_default():
    made = Definition.of(f, {})

    assert (made.name, made.venv, made.requirements) == ("f", "default", ())
    assert (made.cpu, made.memory, made.gpu, made.replicas) == (1000, 0, 0, 1)


def test_resources_may_come_together():
    made = Definition.of(f, {"cpu": 1, "resources": {"cpu": 0.5, "memory": "128MB", "gpu": 1}})

    assert (made.cpu, made.memory, made.gpu) == (500, 128_000_000, 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, 0), (128, 128), ("128", 128), ("1K", 1000), ("1ki", 1024), ("1.5 G", 1_500_000_000), ("2MiB", 2 << 20)],
)
def test_memory_is_bytes_or_has_a_unit(given, expected):
    assert memory_bytes("f", given) == expected


@pytest.mark.parametrize("config", [{"memory": "much"}, {"cpu": -1}, {"replicas": "2"}])
def test_a_keyword_that_cannot_be_names_the_function(config):
    with pytest.raises(ControllerError, match="for 'f'; give"):
        Definition.of(f, config)


def test_a_function_for_another_backend_than_python_is_refused_when_it_is_called():
    definition = Definition.of(f, {"backend": "go"})

    with pytest.raises(ControllerError, match="'f' asks for the backend 'go'"):
        definition.pickled()


def test_what_cannot_be_pickled_is_named():
    lock = threading.Lock()
    fine = 3

    def uses():
        return lock, fine

    with pytest.raises(PicklingError) as caught:
        Definition.of(uses, {}).pickled()

    assert "the function 'uses' cannot be sent to a worker because 'lock', which it uses, cannot" in str(caught.value)
    assert isinstance(caught.value, pickle.PickleError)


def test_helpers_are_pickled_as_they_are_at_that_time():
    def outer():
        return helper()

    made = Definition.of(outer, {})

    def helper():
        return "later"

    assert pickle.loads(made.pickled())() == "later"


@with_storage
def stored(n: int):
    return n + 1


def test_a_decorated_function_takes_the_place_of_its_record_and_others_do_not():
    assert Definition.of(stored, {}).parameters == ("n", PLACE_PARAMETER)
    assert Definition.of(f, {}).parameters == ("a",)


def test_a_worker_that_knows_of_no_places_calls_the_function_all_the_same(monkeypatch):
    pickled = Definition.of(stored, {}).pickled()
    monkeypatch.delattr(Shim, "called_at")
    place = {"run": "R", "step": "S", "told": "T", "after": [], "store": "default", "values": "all"}

    assert pickle.loads(pickled)(n=1, **{PLACE_PARAMETER: place}) == 2


def test_a_client_that_tells_no_place_is_answered_all_the_same():
    assert pickle.loads(Definition.of(stored, {}).pickled())(n=1) == 2
