from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lucas_storage import with_storage
from lucas_storage.errors import NoFormatError
from lucas_storage.formats import format_by_id

PICKLE = format_by_id("pickle5@1")


class LockedError(OSError):
    """Its constructor takes other arguments than OSError passes on."""

    def __init__(self, path, owner, since):
        super().__init__(11, f"locked by {owner} since {since}", path)
        self.owner = owner


class HeldError(LockedError):
    def __init__(self, path):
        super().__init__(path, "me", 0)


class TextError(OSError):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class PartError(ImportError):
    """ImportError passes its message on, which this one takes for the name of a part."""

    def __init__(self, part):
        super().__init__(f"the part {part} is missing")


class ModuleError(ImportError):
    def __init__(self, part, place):
        super().__init__(f"{part} is not in {place}")


class TakesNothing:
    def __reduce__(self):
        return TakesNothing, (1, 2)


class NeedsAnArgument:
    def __new__(cls, number):
        assert number
        return super().__new__(cls)


class Stateless:
    def __getstate__(self):
        return 5


class Closed:
    def __setstate__(self, state):
        raise RuntimeError(f"cannot be opened, whatever {sorted(state)} is")

    def __init__(self):
        self.handle = 1


class Counted:
    """Counts how often one was made again; a sound class."""

    again: list[int] = []  # noqa: RUF012  # of the class, as it is asked for here

    def __init__(self, data):
        self.data = data

    def __getstate__(self):
        return {"data": self.data}

    def __setstate__(self, state):
        self.data = state["data"]
        self.data[0] = 7
        self.again.append(1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ModuleError("a", "b"), "ModuleError can be pickled and not be read back, TypeError: .* missing 1"),
        (lambda: PartError("a"), "PartError can .*, it would become PartError.'the part the part a is missing"),
        (TakesNothing, r"TakesNothing can .*, TypeError: TakesNothing\(\) takes no arguments"),
        (lambda: NeedsAnArgument(1), "NeedsAnArgument can .*, TypeError: .* missing 1 required .* 'number'"),
        (Stateless, "Stateless can .*, UnpicklingError: state is not a dictionary"),
        (Closed, r"Closed can .*, RuntimeError: cannot be opened, whatever \['handle'\] is; give it a __reduce__"),
    ],
)
def test_a_class_whose_objects_cannot_be_made_again_is_refused_by_name_and_reason(make, reason):
    with pytest.raises(NoFormatError, match=reason):
        PICKLE.encode(make())
    # Wherever in a value it stands.
    with pytest.raises(NoFormatError, match=reason):
        PICKLE.encode(SimpleNamespace(inner=[Counted([1]), {"a": make()}]))


def test_a_step_that_returns_such_an_object_fails_by_name(settings):
    @with_storage
    def fail():
        return [Closed()] * 3

    with pytest.raises(NoFormatError, match=r"'fail'.*Closed can be pickled and not be read back"):
        fail()


@pytest.mark.parametrize(
    "make",
    [lambda: LockedError("a", "b", 1), lambda: HeldError("a"), lambda: TextError("a", "b"), lambda: OSError(2, "x")],
)
def test_an_error_of_the_system_whose_constructor_takes_other_arguments_comes_back(settings, make):
    error = make()

    @with_storage
    def give():
        return error

    @with_storage
    def take(value):
        taken.append(value)

    taken = []
    take(give())

    (got,) = taken
    assert type(got) is type(error)
    assert (str(got), got.args, vars(got)) == (str(error), error.args, vars(error))
    assert (got.errno, got.strerror, got.filename) == (error.errno, error.strerror, error.filename)


def test_the_object_itself_is_not_touched_when_it_is_tried_and_neither_is_its_class():
    array = np.arange(5000)
    value = Counted(array)
    registry = Counted.again
    registry.clear()

    PICKLE.encode(value)

    assert len(registry) == 1
    assert Counted.again is registry
    assert value.data is array
    assert array[0] == 0


def test_objects_whose_classes_leave_it_to_python_are_not_made_again_to_try():
    class Watched:
        def __init__(self):
            self.inner = [1]

        def __setattr__(self, name, value):
            super().__setattr__(name, value)

    value = Watched()
    PICKLE.encode([value, Exception("x"), FileNotFoundError(2, "x", "y"), SimpleNamespace(a=1)])


def test_the_file_of_an_object_is_none_of_its_own_pickle_when_it_is_tried(tmp_path: Path, settings):
    file = tmp_path / "file"
    file.write_bytes(b"x")

    @with_storage
    def give():
        return Counted([0, file])

    @with_storage
    def take(value):
        return value.data[1].read_bytes().decode()

    assert take(give()) == "x"
