from __future__ import annotations

import importlib
import inspect

import pytest

MODULES = ["actorc.storage", "lucas_storage"]


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_sorted_and_there(name):
    module = importlib.import_module(name)

    assert sorted(module.__all__) == list(module.__all__)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_public_thing_says_what_it_guarantees(name):
    module = importlib.import_module(name)
    public = [getattr(module, each) for each in module.__all__]
    methods = [
        method
        for cls in public
        if inspect.isclass(cls)
        for base in cls.__mro__
        if base.__module__.startswith(("actorc", "lucas_storage"))
        for attribute, method in vars(base).items()
        if callable(method) and not attribute.startswith("_")
    ]
    silent = [thing for thing in [*public, *methods] if not inspect.getdoc(thing)]

    assert silent == []
