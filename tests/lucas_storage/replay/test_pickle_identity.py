"""Pickles of classes that a script defines: the same each time the script is read, but for names that are made up."""

from __future__ import annotations

import enum
import sys
import types

import cloudpickle
import pytest

from lucas_storage.replay.pickle_identity import is_same_but_for_class_names

CLASSES = """
class Model:
    limit = 3
    def __init__(self, weight): self.weight = weight
    def score(self): return self.weight * {factor}

class Other(Model):
    pass
"""


def defined(monkeypatch, factor=2):
    """Return a main module in which the classes have been defined anew."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(compile(CLASSES.format(factor=factor), "study.py", "exec"), module.__dict__)
    return module


def pickled(monkeypatch, make, **options):
    return cloudpickle.dumps(make(defined(monkeypatch, **options)))


@pytest.mark.parametrize(
    "make",
    [
        lambda main: main.Model(1),
        lambda main: [main.Other(1), main.Model(2), main.Other(3)],
        lambda main: enum.Enum("Colour", ["RED", "BLUE"], module="__main__"),
    ],
)
def test_the_same_script_makes_the_same_pickle_but_for_made_up_names(monkeypatch, make):
    first, second = pickled(monkeypatch, make), pickled(monkeypatch, make)

    assert first != second
    assert is_same_but_for_class_names(first, second)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda main: main.Model(2), {}),
        (lambda main: main.Model(1), {"factor": 3}),
        (lambda main: main.Other(1), {}),
        (lambda main: [main.Model(1)], {}),
    ],
)
def test_another_value_or_class_is_another_one(monkeypatch, make, options):
    first, second = pickled(monkeypatch, lambda main: main.Model(1)), pickled(monkeypatch, make, **options)

    assert not is_same_but_for_class_names(first, second)


def test_one_class_in_the_place_of_two_is_not_the_same(monkeypatch):
    first = pickled(monkeypatch, lambda main: (main.Model, main.Other))
    names = [each for each in first.split(b"\x8c\x20") if b"\x94Nt\x94R" in each[32:38]]
    assert len(names) == 2

    assert not is_same_but_for_class_names(first, first.replace(names[0][:32], names[1][:32]))


def test_random_text_in_a_value_is_no_name_of_a_class(monkeypatch):
    first = pickled(monkeypatch, lambda main: main.Model("0" * 32))
    second = pickled(monkeypatch, lambda main: main.Model("1" * 32))

    assert not is_same_but_for_class_names(first, second)
    assert not is_same_but_for_class_names(b"0" * 32, b"1" * 32)
