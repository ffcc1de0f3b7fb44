from __future__ import annotations

import enum
import json
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from importlib import resources
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.errors import DecodeError, NoFormatError, UnknownFormatError
from lucas_storage.formats import encode_data, format_by_id, format_for, holds_references, is_exact, is_tagged_scalar
from lucas_storage.formats.base import MemorySource
from lucas_storage.formats.json_data import json_text
from lucas_storage.formats.json_data.json_format import json_line
from lucas_storage.formats.json_data.plain_data import copied, copier, is_larger
from lucas_storage.refs import ArtifactRef, inline_ref

JSON_1, JSON_2 = format_by_id("json@1"), format_by_id("json@2")
REF = ArtifactRef(bucket="bucket", key="k", size=3, format="npy@1", digest="sha256:" + "0" * 64)


class Text(str):
    __slots__ = ()


class Level(enum.IntEnum):
    LOW = 1


class Zone(tzinfo):
    def utcoffset(self, dt):
        return timedelta(0)


class Stamp(datetime):
    pass


class Rows(OrderedDict):
    pass


def standard(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def shape(value):
    """The value as text that tells types apart, in which 1, 1.0 and True are three, and so are 0.0 and -0.0."""
    if type(value) in (dict, OrderedDict, Counter, defaultdict):
        factory = getattr(value, "default_factory", None)
        return type(value), factory, [(shape(key), shape(item)) for key, item in value.items()]
    if type(value) in (list, tuple):
        return type(value), list(map(shape, value))
    if type(value) is deque:
        return deque, value.maxlen, list(map(shape, value))
    if type(value) in (set, frozenset):
        return type(value), sorted(map(repr, map(shape, value)))
    if type(value) in (datetime, time):
        return type(value), repr(value), value.fold, value.tzinfo
    return type(value), repr(value)


def trip(form, value):
    return form.decode(MemorySource(bytes(form.encode(value))), None)


_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**2100), 2**2100)
    | st.floats()
    | st.floats(1e-7, 1e-3)
    | st.floats(1e14, 1e18)
    | st.text(st.characters())
    | st.sampled_from(["1e5", "0.00001", "\ud800", "$tuple", Text("x"), Level.LOW, (1,), b"x", {1: 2}, {Text("k"): 1}])
)
_nested = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
        # beyond what is judged one by one
        | st.builds(lambda items, times: items * times, st.lists(inner, max_size=4), st.sampled_from([40]))
    ),
    max_leaves=8,
)


def comes_unchanged_through_json(value):
    if type(value) is list:
        return all(map(comes_unchanged_through_json, value))
    if type(value) is dict:
        return all(type(key) is str and comes_unchanged_through_json(key) for key in value) and all(
            map(comes_unchanged_through_json, value.values())
        )
    if type(value) is str:
        return value.encode(errors="replace").decode() == value
    if type(value) is int:
        return value.bit_length() <= 2000
    return value is None or type(value) is bool or (type(value) is float and math.isfinite(value))


@given(_nested)
def test_data_is_exact_if_each_part_of_it_comes_unchanged_through_json(value):
    assert is_exact(value) == comes_unchanged_through_json(value)
    assert is_exact([value] * 50) == comes_unchanged_through_json(value)


@pytest.mark.parametrize(
    "odd", [math.nan, math.inf, 1 << 2001, -(1 << 2001), "\ud800", (), Text("x"), Level.LOW, np.float64(1), {1: 2}, REF]
)
def test_one_odd_item_is_found_in_any_number_of_others(odd):
    others = [0, 1.5, "x", None, True, 10**400, 1e308, 1e308, -1e308, [], {"a": [1]}]

    for items in (
        [odd],
        [*others, odd],
        others * 50 + [odd],
        [odd] + others * 50,
        [1.5] * 50 + [odd],
        [1] * 50 + [odd],
    ):
        assert not is_exact(items)
        assert not is_exact({"a": {"b": items}})
        assert not is_exact([{"a": items}] * 50)
    assert is_exact(others * 50)


@pytest.mark.parametrize("width", [1, 50])
def test_data_is_exact_up_to_a_hundred_levels(width):
    deep: object = 1
    for _ in range(100):
        deep = [deep] * width

    assert is_exact(deep)
    assert not is_exact([deep])
    assert JSON_2.handles([(1,), b"x", deep[0]])
    assert not JSON_2.handles([(1,), b"x", deep])


def test_data_that_contains_itself_is_refused_at_once():
    for count in (1, 2, 1000):
        loop: list = []
        loop.extend([loop] * count)
        odd: deque = deque([1j])
        odd.extend([odd] * count)

        assert not is_exact(loop)
        assert not JSON_1.handles(loop)
        assert not JSON_2.handles(odd)
        with pytest.raises(NoFormatError, match="contains itself"):
            JSON_1.encode(loop)
        with pytest.raises(NoFormatError, match="contains itself"):
            JSON_2.encode(odd)


@given(_nested)
def test_a_copy_of_exact_data_is_equal_and_shares_no_container(value):
    if not is_exact(value):
        return
    for copy in (copied(value), copier(value, standard(value))(value)):
        assert shape(copy) == shape(value)
        assert containers(copy).keys().isdisjoint(containers(value))


@pytest.mark.parametrize(
    "value",
    [
        [1, "[", 2.5],
        [[1], [2, "x"]],
        [[[1]], 2],
        [[1], ["[", [2]]],
        [{"a": 1}, {"b": "{"}],
        [{"a": 1}, {"b": {}}, 3],
        [{"a": [1]}],
        {"a": 1},
        {"a": {"b": [1, {}]}},
        [],
        [[]],
    ],
    ids=ascii,
)
def test_a_copy_is_deep_however_containers_are_nested(value):
    copy = copier(value, standard(value))(value)

    assert shape(copy) == shape(value)
    assert containers(copy).keys().isdisjoint(containers(value))


def containers(value):
    found = {}
    if type(value) in (list, dict):
        found[id(value)] = value
        for item in value if type(value) is list else value.values():
            found |= containers(item)
    return found


@pytest.mark.parametrize("encoder", ["msgspec", "json"])
class TestText:
    @pytest.fixture(autouse=True)
    def only(self, encoder, monkeypatch):
        if encoder == "json":
            monkeypatch.setitem(sys.modules, "msgspec.json", None)
        else:
            pytest.importorskip("msgspec.json")
        json_text._fast.cache_clear()
        assert (json_text._fast() is None) == (encoder == "json")
        yield
        json_text._fast.cache_clear()

    @given(value=_nested)
    def test_the_bytes_are_those_of_the_standard_library(self, value):
        if is_exact(value):
            data = json_text.dumps(value)

            assert data == standard(value)
            assert shape(json_text.loads(data)) == shape(value)

    @given(value=st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-6, 1e-3), min_size=1))
    def test_floats_of_any_size_are_written_as_python_writes_them(self, value):
        assert json_text.dumps(value) == standard(value)
        assert json_text.dumps({"e5": value}) == standard({"e5": value})

    @pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[1,]", "{", '"\xff"', "[" * 100_000, "", "nul", "01"])
    def test_what_is_no_json_is_refused(self, text):
        with pytest.raises(DecodeError):
            JSON_1.decode(MemorySource(text.encode("latin-1")), None)

    def test_long_ints_stay_ints(self):
        for number in (2**64, -(2**63) - 1, 10**600):
            assert shape(number) == shape(json_text.loads(str(number).encode()))


def test_an_encoder_that_writes_other_bytes_is_not_used(monkeypatch, caplog):
    msgspec_json = pytest.importorskip("msgspec.json")
    monkeypatch.setattr(msgspec_json, "encode", lambda value: json.dumps(value).encode())
    json_text._fast.cache_clear()
    try:
        assert json_text.dumps([1, 2]) == b"[1,2]"
        assert "msgspec" in caplog.text
    finally:
        json_text._fast.cache_clear()


def test_small_data_does_not_load_the_fast_encoder():
    assert not is_larger({"a": [1] * 4998, "b": []}, 5000)
    assert is_larger({"a": [1] * 4999, "b": {"c": 1}}, 5000)
    assert not is_larger("x" * 10_000, 5000)


@given(st.sets(st.text(), max_size=8) | st.sets(st.integers(), max_size=8))
def test_the_items_of_a_set_are_in_the_order_of_their_own_json(value):
    (items,) = json.loads(bytes(JSON_1.encode(value))).values()

    assert items == sorted(items, key=json_text.dumps)


_zones = st.sampled_from(
    [
        None,
        UTC,
        timezone(timedelta(hours=-3, seconds=1)),
        timezone(timedelta(hours=1), "here"),
        ZoneInfo("Europe/Berlin"),
    ]
)
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=3)
    | st.datetimes(timezones=_zones, allow_imaginary=True)
    | st.times(timezones=_zones)
    | st.dates()
    | st.timedeltas()
    | st.decimals()
    | st.uuids()
    | st.complex_numbers()
    | st.binary(max_size=9)
    | st.binary(max_size=9).map(bytearray)
    | st.builds(range, st.integers(), st.integers(), st.integers(1))
    | st.text("ab/.:\\", max_size=5).map(PurePosixPath)
    | st.text("ab/\\ ", max_size=5).map(PureWindowsPath).filter(lambda path: PureWindowsPath(str(path)) == path)
    | st.sampled_from([np.float32(0.1), np.datetime64("2026-11-23"), np.str_("x"), np.int8(3)])
)
_keys = (
    st.text(max_size=3)
    | st.sampled_from(["$tuple", "$date", "$artifact", "$new"])
    | st.integers()
    | st.dates()
    | st.tuples(st.integers(), st.uuids())
)
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_keys, inner, max_size=3)
        | st.dictionaries(_keys, inner, max_size=3).map(OrderedDict)
        | st.dictionaries(_keys, inner, max_size=3).map(lambda items: defaultdict(list, items))
        | st.dictionaries(_keys, st.integers(), max_size=3).map(Counter)
        | st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(0, 9))
        | st.sets(_keys, max_size=3)
        | st.frozensets(_keys, max_size=3)
    ),
    max_leaves=12,
)


@given(_values)
def test_any_value_comes_back_equal_and_of_the_same_types(value):
    assert JSON_2.handles(value)
    assert shape(value) == shape(trip(JSON_2, value))
    assert bytes(JSON_2.encode(value)) == bytes(JSON_2.encode(trip(JSON_2, value)))


@given(_values)
def test_a_value_is_written_the_same_alone_and_among_others(value):
    alone = bytes(JSON_2.encode([value]))[1:-1]

    assert bytes(JSON_2.encode([value] * 40)) == b"[" + b",".join([alone] * 40) + b"]"
    assert bytes(JSON_2.encode([[value], {"a": value}, {1: value}])) == (
        b'[[%b],{"a":%b},{"$dict":[[1,%b]]}]' % (alone, alone, alone)
    )
    assert bytes(JSON_2.encode((value, [1.5] * 2000, [None]))) == (
        b'{"$tuple":[%b,[%b],[null]]}' % (alone, b",".join([b"1.5"] * 2000))
    )


@given(_values)
def test_a_value_comes_back_the_same_among_many_numbers(value):
    numbers = [0.5] * 5000

    for among in ((*numbers, value), [numbers, {"a": [numbers, [value]], "b": value}, value]):
        assert shape(among) == shape(trip(JSON_2, among))


def test_a_tag_that_is_unknown_is_refused_among_many_numbers():
    text = b'{"a":[%b{"$new":1}],"b":{"$artifact":1}}' % (b"0.5," * 5000)

    with pytest.raises(UnknownFormatError, match="upgrade lucas-storage for '\\$new'"):
        JSON_2.decode(MemorySource(text), None)
    assert JSON_1.decode(MemorySource(text), None)["a"][-1] == {"$new": 1}
    with pytest.raises(DecodeError):
        JSON_1.decode(MemorySource(text.replace(b"$new", b"$int")), None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), '{"$tuple":[]}'),
        ([(), (1,), (1, "a"), ((),)], '[{"$tuple":[]},{"$tuple":[1]},{"$tuple":[1,"a"]},{"$tuple":[{"$tuple":[]}]}]'),
        ({"b", "a", "é"}, '{"$set":["a","b","é"]}'),
        ({10, 9, -1}, '{"$set":[-1,10,9]}'),
        ([{1: 2}, {}, {"$x": 1}, {"a": (1,)}], '[{"$dict":[[1,2]]},{},{"$dict":[["$x",1]]},{"a":{"$tuple":[1]}}]'),
        ([1, math.nan, 1 << 2001], '[1,{"$float":"nan"},{"$int":"%x"}]' % (1 << 2001)),
        ((True, 1, 1.0, None, 1e16, 1e-05), '{"$tuple":[true,1,1.0,null,1e+16,1e-05]}'),
        (["\ud800", 'a"\n'], '[{"$text":"7aCA"},"a\\"\\n"]'),
        (defaultdict(list, {"a": date.min}), '{"$defaultdict":["list",[["a",{"$date":"0001-01-01"}]]]}'),
        (deque([1], 3), '{"$deque":[3,[1]]}'),
        (deque(), '{"$deque":[null,[]]}'),
        ([timedelta(1, 2, 3), complex(1, math.inf)], '[{"$timedelta":[1,2,3]},{"$complex":[1.0,{"$float":"inf"}]}]'),
    ],
)
def test_data_with_tags_has_this_text_for_ever(value, text):
    assert bytes(JSON_2.encode(value)).decode() == text


@pytest.mark.parametrize(("begin", "pair"), [((1,), lambda one: (one, one)), ([1], lambda one: [one, one])])
def test_what_stands_in_many_places_is_looked_at_once(begin, pair):
    doubled = begin
    for _ in range(18):
        doubled = pair(doubled)
    calls = 0

    def count(_, event, __):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        text = JSON_2.encode(doubled)
    finally:
        sys.setprofile(None)

    assert calls < 1 << 18
    assert bytes(text).count(b"1") == 1 << 18


@given(_values)
def test_what_the_first_version_holds_is_written_in_it(value):
    form = format_for(value, "json")

    assert form.id == ("json@1" if JSON_1.handles(value) else "json@2")
    if form.id == "json@1":
        assert bytes(form.encode(value)) == bytes(JSON_2.encode(value))
        assert shape(value) == shape(trip(JSON_1, value))
    else:
        with pytest.raises(NoFormatError):
            JSON_1.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        Stamp(2026, 11, 23),
        datetime(2026, 11, 23, tzinfo=Zone()),
        time(1, tzinfo=Zone()),
        Level.LOW,
        Text("x"),
        b"x" * 4097,
        bytearray(4097),
        memoryview(b"x"),
        Path("relative"),
        slice(date.min),
        slice(REF),
        Rows(a=1),
        defaultdict(lambda: 1),
        defaultdict(Rows),
        np.str_("ends in NUL\x00"),
        np.zeros(2),
        np.void(b"raw"),
        object(),
        int,
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_and_what_cannot_be_restored_are_refused_alone_and_among_others(value):
    assert not is_tagged_scalar(value)
    for holder in ([value], {"k": (1.5, value)}, [date.min, [value]], deque([value]), [value] * 50, {"k": {1: value}}):
        assert not JSON_2.handles(holder)
        with pytest.raises(NoFormatError):
            JSON_2.encode(holder)


def test_attributes_of_a_dict_are_not_lost():
    value = OrderedDict(a=1)
    value.note = "kept by pickle"

    assert not JSON_2.handles([value])


def test_a_zone_that_was_made_of_a_file_is_refused():
    data = (resources.files("tzdata.zoneinfo.Europe") / "Berlin").read_bytes()
    zone = ZoneInfo.from_file(BytesIO(data))

    assert not JSON_2.handles(datetime(2026, 11, 23, tzinfo=zone))


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, -math.inf, 1 << 2001, "\ud800", 1j, b"", b"x" * 4096, bytearray(1), range(3), slice(3), Decimal(1)),
        *(datetime.max.replace(tzinfo=UTC), date.min, time.min, timedelta(1), UUID(int=1)),
        *(PurePosixPath("a"), PureWindowsPath("a"), np.float64(1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scalars_that_only_tags_hold_are_told_from_others(value):
    assert is_tagged_scalar(value)
    assert JSON_2.handles([value])


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", [], {}, (), {1}, REF, deque(), Counter()])
def test_exact_scalars_containers_and_references_are_no_tagged_scalars(value):
    assert not is_tagged_scalar(value)


@pytest.mark.parametrize("text", ['{"$new":1}', '[{"$datetime":"2026-11-23"},{"$new":[]}]', '{"$artifact":"nowhere"}'])
def test_a_tag_of_a_later_version_is_refused_with_the_way_out(text):
    with pytest.raises(UnknownFormatError, match="upgrade lucas-storage"):
        JSON_2.decode(MemorySource(text.encode()), None)

    assert json.loads(text) == JSON_1.decode(MemorySource(text.encode()), None)


@pytest.mark.parametrize(
    "text",
    [
        '{"$datetime": "yesterday"}',
        '{"$datetime": ["2026-11-23", "../../etc/passwd", 0]}',
        '{"$datetime": ["2026-11-23", "Nowhere/City", 0]}',
        '{"$datetime": ["2026-11-23", "Europe", 0]}',
        '{"$datetime": ["2026-11-23", [9, 0, 0], 0]}',
        '{"$datetime": 5}',
        '{"$date": null}',
        '{"$timedelta": [1e30, 0, 0]}',
        '{"$timedelta": "1"}',
        '{"$decimal": "one"}',
        '{"$decimal": [0, [1], 2]}',
        '{"$uuid": 5}',
        '{"$complex": ["1", "2"]}',
        '{"$bytes": "!"}',
        '{"$range": [0, 1, 0]}',
        '{"$posixpath": 1}',
        '{"$ordereddict": {"a": 1}}',
        '{"$counter": [[[], 1]]}',
        '{"$defaultdict": ["eval", []]}',
        '{"$defaultdict": []}',
        '{"$deque": [-1, []]}',
        '{"$slice": [1]}',
    ],
)
def test_tags_that_make_no_sense_are_refused(text):
    with pytest.raises(DecodeError):
        JSON_2.decode(MemorySource(text.encode()), None)


def test_formats_that_are_json_hold_references():
    assert [id_ for id_ in ("json@1", "json@2", "stream@1", "text@1", "npy@1", "other@1") if holds_references(id_)] == [
        "json@1",
        "json@2",
    ]


def test_a_line_of_a_stream_is_read_by_readers_of_the_first_version():
    plain, dated = json_line([1, (REF,)]), json_line({"at": date.min, "of": REF})

    assert plain == bytes(JSON_1.encode([1, (REF,)]))
    assert JSON_1.decode(MemorySource(dated), None) == inline_ref(
        "json@2", bytes(JSON_2.encode({"at": date.min, "of": REF}))
    )
    assert b"\n" not in plain + dated
    with pytest.raises(NoFormatError):
        json_line([object()])


def test_each_nan_is_one_of_its_own():
    value = [{float("nan"), float("nan")}, {float("nan"): 1, float("nan"): 2}]
    fmt, encoded = encode_data(value)

    numbers, names = fmt.decode(MemorySource(bytes(encoded)), None)

    assert (len(numbers), list(names.values())) == (2, [1, 2])


@pytest.mark.parametrize(
    "value",
    [{1: 2, 3: [4]}, (1, [2]), {1, 2}, frozenset({1}), {"$": 1}, {1: "$"}, ("$",), {}, ()],
    ids=repr,
)
def test_data_that_is_one_tag_comes_back_equal(value):
    fmt, encoded = encode_data(value)
    found = fmt.decode(MemorySource(bytes(encoded)), None)

    assert found == value
    assert type(found) is type(value)
