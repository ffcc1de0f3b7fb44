"""Whatever holds values: files, arrays, tables and references in it are found, and it arrives as what it was."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given

from lucas_storage import ArtifactRef, Storage, storage_context, with_storage
from lucas_storage.containers import children, field_names
from lucas_storage.errors import NoFormatError, UnsafeFormatError
from tests.lucas_storage.values.nested_values import edit, form, values

pytestmark = pytest.mark.usefixtures("settings")

Pair = namedtuple("Pair", "name file")  # noqa: PYI024  # both kinds of named tuples are met


class Named(NamedTuple):
    name: str
    file: Any


@dataclass
class Report:
    name: str
    file: Any
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    file: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    name: str
    file: Any


class Plain:
    """A class of a user that declares nothing."""

    def __init__(self, name, file):
        self.name, self.file = name, file


class Colour(enum.Enum):
    RED = "red"


def passed_on(value):
    """Return what the next function sees of a result."""

    @with_storage
    def produce():
        return value

    return received(produce())


def received(value, annotation=Any):
    seen = []

    def consume(x):
        seen.append(x)

    consume.__annotations__["x"] = annotation
    with_storage(consume)(x=value)
    return seen[0]


HOLDERS = {
    "list": lambda leaf: [leaf],
    "tuple": lambda leaf: (1, leaf),
    "dict": lambda leaf: {"a": leaf},
    "dict of int": lambda leaf: {1: leaf, (2, 3): leaf},
    "OrderedDict": lambda leaf: OrderedDict(b=leaf, a=1),
    "defaultdict": lambda leaf: defaultdict(list, a=[leaf]),
    "deque": lambda leaf: deque([leaf], maxlen=3),
    "NamedTuple": lambda leaf: Named("n", leaf),
    "namedtuple": lambda leaf: Pair("n", leaf),
    "dataclass": lambda leaf: Report("n", leaf, {"deep": [leaf]}),
    "frozen dataclass": lambda leaf: Frozen("n", leaf),
    "pydantic": lambda leaf: Model(name="n", file=leaf),
    "object": lambda leaf: Plain("n", leaf),
    "all": lambda leaf: {"x": [Report("n", {1: (leaf,)}), Named("m", deque([leaf]))]},
}


def leaves_of(value):
    if isinstance(value, (dict, OrderedDict)):
        return [leaf for item in value.values() for leaf in leaves_of(item)]
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        return [leaf for item in value for leaf in leaves_of(item)]
    if hasattr(value, "__dict__") and not isinstance(value, (np.ndarray, pd.DataFrame)):
        return [leaf for item in vars(value).values() for leaf in leaves_of(item)]
    if isinstance(value, Frozen):
        return leaves_of(value.file)
    return [value] if isinstance(value, (Path, bytes, np.ndarray, pd.DataFrame)) else []


@pytest.mark.few(6)
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_files_and_arrays_are_found_in_every_container(holder, tmp_path):
    path = tmp_path / "räum.txt"
    path.write_text("hello")
    array = np.arange(3000)
    file, data = holder(path), holder(array)
    count = len(leaves_of(file))
    travelling = with_storage(lambda_of(file))()
    path.unlink()
    arrived = received(travelling)

    assert type(arrived) is type(file)
    assert [leaf if isinstance(leaf, bytes) else leaf.read_bytes() for leaf in leaves_of(arrived)] == [b"hello"] * count
    assert [leaf.tolist() for leaf in leaves_of(passed_on(data))] == [array.tolist()] * count


def lambda_of(value):
    def produce():
        return value

    return produce


def test_files_and_references_are_found_in_sets(tmp_path):
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    ref = Storage().put(b"three")

    for kind in (set, frozenset):
        arrived = passed_on({"inner": kind({tmp_path / "a", tmp_path / "b", ref})})["inner"]

        assert type(arrived) is kind
        assert {item if isinstance(item, bytes) else item.read_bytes() for item in arrived} == {
            b"one",
            b"two",
            b"three",
        }


CONTAINERS = [
    {1: "a", 2.5: "b", None: "c", False: "d", (1, "x"): [1]},
    OrderedDict([("b", 1), ("a", [2])]),
    defaultdict(int, a=1),
    Counter("abca"),
    deque([1, 2], maxlen=5),
    {1, 2, 3},
    frozenset({(1, 2)}),
    (1, (2, [3])),
    Named("n", 1),
    Report("n", {"a": (1,)}),
    Frozen("n", None),
    Model(name="n", file=[1]),
    Colour.RED,
    [{"a": Colour.RED}, Named("a", Report("b", deque([1])))],
]


@pytest.mark.parametrize("value", CONTAINERS, ids=[type(value).__name__ for value in CONTAINERS])
def test_a_container_arrives_equal_and_as_its_own_type(value):
    for arrived, sent in (
        (passed_on(value), value),
        (passed_on([value])[0], value),
        (passed_on({"k": value})["k"], value),
    ):
        assert arrived == sent
        assert type(arrived) is type(sent)
        assert repr(arrived) == repr(sent)


def test_an_array_that_is_held_twice_arrives_once():
    array = np.arange(3000)
    arrived = passed_on(Plain(array, [array]))

    assert arrived.name is arrived.file[0]


def test_a_path_without_a_file_in_an_object_is_refused_by_name(tmp_path):
    with pytest.raises(NoFormatError, match=r"Report holds the path '.*gone', where no file is"):
        passed_on(Report("n", tmp_path / "gone"))


def test_an_object_goes_on_with_its_references(tmp_path):
    ref = Storage().put(tmp_path_file(tmp_path))

    assert passed_on(Report("n", ref)).file == ref


def tmp_path_file(tmp_path):
    (tmp_path / "x").write_text("x")
    return tmp_path / "x"


def test_objects_given_in_process_are_entered_and_stay_their_callers(tmp_path):
    ref = Storage().put(np.arange(2000))
    given = Report("n", ref.to_json(), {"more": Named("m", ref)})
    arrived = received(given)

    assert arrived.file.tolist() == arrived.notes["more"].file.tolist() == list(range(2000))
    assert given == Report("n", ref.to_json(), {"more": Named("m", ref)})
    assert isinstance(given.notes["more"].file, ArtifactRef)


@given(values)
def test_any_value_arrives_equal_and_is_the_steps_own(value):
    before = form(value)
    travelling = with_storage(lambda_of(value))()
    for _ in range(2):
        arrived = received(travelling)

        assert form(arrived) == before
        edit(arrived)
        edit(received(value))
    assert form(value) == before


def edited(value):  # noqa: C901  # one case for each kind
    """Change a value in every place that can be changed."""
    match value:
        case dict():
            for item in list(value.values()):
                edited(item)
            value["new"] = 1
        case list() | deque():
            for item in value:
                edited(item)
            value.append(1)
        case set():
            value.add("new")
        case tuple():
            for item in value:
                edited(item)
        case np.ndarray():
            value[0] = -1
        case bytearray():
            value += b"new"
        case pd.DataFrame():
            value["new"] = 1
        case Report() | Plain():
            edited(value.file)
            value.name = "new"


GIVEN = {
    "numbers": lambda: [3, 1, 2],
    "nested": lambda: {"a": [[1], {"b": [2]}], "t": ([1],)},
    "large": lambda: [[n, [n]] for n in range(20_000)],
    "keys": lambda: {1: [1], (2,): {3: [4]}},
    "set": lambda: {1, 2},
    "deque": lambda: deque([[1]]),
    "ordered": lambda: OrderedDict(a=[1]),
    "array": lambda: np.arange(2000),
    "small array": lambda: [np.arange(3)],
    "bytearray": lambda: [bytearray(b"abc")],
    "frame": lambda: pd.DataFrame({"a": [1, 2]}),
    "dataclass": lambda: Report("n", [1, {"a": [2]}]),
    "object": lambda: Plain("n", [np.arange(3)]),
}


@pytest.mark.few(6)
@pytest.mark.parametrize("make", GIVEN.values(), ids=GIVEN)
def test_a_value_given_to_a_step_is_its_own(make):
    @with_storage
    def produce():
        return kept[0]

    @with_storage
    def spoil(x):
        edited(x)

    kept = [make()]
    travelling = produce()
    for argument in (kept[0], travelling):
        spoil(x=argument)
        spoil(x=argument)

        assert repr(kept[0].__dict__ if isinstance(kept[0], Plain) else kept[0]) == repr(
            make().__dict__ if isinstance(kept[0], Plain) else make()
        )
        assert str(shown(received(travelling))) == str(shown(make()))


def shown(value):
    return vars(value) if isinstance(value, Plain) else value


@dataclass
class Counted:
    items: list[int]

    def __post_init__(self):
        self.seen = [0]


class Extended(pydantic.BaseModel, extra="allow"):
    _hidden: list[int] = pydantic.PrivateAttr(default_factory=lambda: [0])


class Marked(Named):
    pass


class Reader:
    """A class of a user that reads, and is no file."""

    def __init__(self):
        self.seen = [0]

    def read(self):
        return self.seen


class RefusedError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code, self.text = code, [text]


def marked():
    found = Marked("a", None)
    found.seen = [0]
    return found


# A value, and what in it can be edited though no field of a class declares it.
BESIDE_FIELDS = {
    "set by __post_init__": (lambda: Counted([1]), lambda value: value.seen),
    "extra of a model": (lambda: Extended(more=[0]), lambda value: value.more),
    "private of a model": (lambda: Extended(), lambda value: value._hidden),
    "of a class derived from a named tuple": (marked, lambda value: value.seen),
    "of a class that reads": (Reader, lambda value: value.seen),
    "within a table": (lambda: pd.DataFrame({"lists": [[1], [2]]}), lambda value: value["lists"][0]),
    "a table with a column called read": (lambda: pd.DataFrame({"read": [[1]]}), lambda value: value["read"][0]),
    "within a series": (lambda: pd.Series([[1]]), lambda value: value[0]),
    "within a read-only dict": (lambda: MappingProxyType({"a": [1]}), lambda value: value["a"]),
    "of an exception": (lambda: RefusedError(1, "text"), lambda value: value.text),
}


@pytest.mark.parametrize(("make", "part"), BESIDE_FIELDS.values(), ids=BESIDE_FIELDS)
def test_what_no_field_declares_is_the_steps_own_too(make, part):
    value = make()
    for arrived in (received(value), received([value])[0], passed_on(value)):
        assert part(arrived) == part(make())
        part(arrived).append("edited")

    assert part(value) == part(make())


def test_objects_that_know_each_other_still_do():
    one, other = Plain("one", None), Plain("other", None)
    one.file, other.file = other, one

    first, second, again = received([one, other, one])

    assert (first.file, second.file, again) == (second, first, first)


@pytest.mark.parametrize("size", [1, 4096, 4097, 100_000])
def test_a_bytearray_of_any_size_arrives_as_one(size):
    value = bytearray(size)

    for arrived in (passed_on(value), passed_on([value])[0], passed_on({"a": value})["a"]):
        assert (type(arrived), arrived) == (bytearray, value)


def test_an_exception_whose_constructor_takes_other_arguments_arrives():
    arrived = passed_on({"failed": RefusedError(404, "gone")})["failed"]

    assert type(arrived) is RefusedError
    assert (arrived.args, arrived.code, arrived.text) == (("404 gone",), 404, ["gone"])


def test_what_a_step_returned_is_not_changed_by_what_it_does_later():
    kept = [1, [2]]
    travelling = with_storage(lambda_of(kept))()
    edited(kept)

    assert received(travelling) == [1, [2]]


def nested(depth, leaf):
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize("depth", [100, 101, 200])
@pytest.mark.parametrize("make", [lambda: 1, lambda: np.arange(5000)], ids=["data", "array"])
def test_data_of_any_depth_arrives_with_what_is_in_it(depth, make):
    out = with_storage(lambda: nested(depth, make()))()
    arrived = []
    with_storage(lambda value: arrived.append(form(value)))(value=out)

    assert arrived == [form(nested(depth, make()))]


def test_data_deeper_than_json_is_a_pickle_in_which_arrays_are_references(storage):
    ref = storage.put({"deep": nested(150, np.arange(5000))})

    assert ref.format.startswith("pickle5@")
    assert ref.size < 2000


def test_data_too_deep_for_json_is_refused_where_pickles_are_denied():
    with storage_context(pickle="deny"), pytest.raises(UnsafeFormatError, match="LUCAS_STORAGE_PICKLE=deny"):
        with_storage(lambda: nested(150, 1))()


@dataclass
class Known:
    name: str
    others: list[Any]


def known_to_each_other(count):
    found = [Known(str(number), []) for number in range(count)]
    for one in found:
        one.others = found
    return found


MANY = {
    "dataclasses": lambda: [Report(str(number), [number]) for number in range(500)],
    "enumeration in dicts": lambda: [{"number": number, "colour": Colour.RED} for number in range(500)],
    "named tuples as values": lambda: {str(number): Named("n", number) for number in range(500)},
    "times of pandas": lambda: [pd.Timestamp(number) for number in range(500)],
    "members of a set": lambda: {Frozen(str(number), number) for number in range(500)},
    "beside an array": lambda: [np.arange(5000), *(Report(str(number), None) for number in range(500))],
}


@pytest.mark.parametrize("make", MANY.values(), ids=MANY)
def test_many_objects_are_one_artifact_beside_arrays(storage, make):
    sent = with_storage(make)()

    assert "$artifact" in sent
    ref = ArtifactRef.parse(sent)
    assert ref.format.startswith("pickle5@")
    assert form(received(sent)) == form(make())
    assert storage.put(make()).format == ref.format


def test_many_objects_that_know_each_other_still_do():
    arrived = passed_on(known_to_each_other(500))

    assert len(arrived) == 500
    assert all(one.others[0] is arrived[0] for one in arrived)


def test_few_objects_travel_one_by_one_beside_data():
    sent = with_storage(lambda: {"score": 1, "best": Report("a", 1)})()

    assert sent["score"] == 1
    assert "$artifact" in sent["best"]


def test_files_and_references_among_many_objects_arrive_as_ever(storage, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("content")
    objects = [Report(str(number), None) for number in range(300)]

    of_file = passed_on([path, *objects])
    of_reference = passed_on([storage.put([1, 2]), *objects])
    of_generator = passed_on([iter([1, 2]), *objects])

    assert of_file[0].read_text() == "content"
    assert (of_reference[0], of_generator[0]) == ([1, 2], [1, 2])
    assert of_file[1:] == of_reference[1:] == of_generator[1:] == objects


def test_the_object_that_cannot_be_stored_is_named_among_many():
    class Held:
        def __reduce__(self):
            raise TypeError

    with pytest.raises(NoFormatError, match="Held"):
        with_storage(lambda: [*MANY["dataclasses"](), Held()])()
    with storage_context(pickle="deny"), pytest.raises(UnsafeFormatError, match="Report"):
        with_storage(MANY["dataclasses"])()


class Couple(tuple):
    __slots__ = ()

    def __new__(cls, x, y):
        return super().__new__(cls, (x, y))


class Labelled(str):  # noqa: SLOT000  # it has attributes
    def __new__(cls, text, labels):
        found = super().__new__(cls, text)
        found.labels = labels
        return found

    def __str__(self):
        return "shown"


@pytest.mark.parametrize("many", [1, 500])
def test_a_value_of_a_class_derived_from_a_built_in_one_arrives_whatever_makes_it(many):
    couple, text, *_ = passed_on([Couple([1], 2), Labelled("a", ["b"])] * many)

    assert (type(couple), couple) == (Couple, ([1], 2))
    assert (type(text), text == "a", text.labels) == (Labelled, True, ["b"])


class Answering(type):
    """Has every attribute, as doubles of tests have."""

    def __getattr__(cls, name):
        return 5


class Answered(metaclass=Answering):
    pass


def test_a_class_that_makes_up_attributes_declares_no_fields():
    value = Answered()

    assert field_names(value) is None
    assert children([value]) == [value]
