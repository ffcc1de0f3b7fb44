"""What becomes of values on their way into and out of a function."""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import StorageError
from lucas_storage import ArtifactRef, Out, storage_context, with_storage
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    EmptyUpstreamError,
    InvalidRefError,
    NoFormatError,
    UnknownStoreError,
    UnsafeFormatError,
)
from lucas_storage.refs import TAG

pytestmark = pytest.mark.usefixtures("settings")

BIG = 100_000


class Model:
    """A class that no format but pickle holds."""

    def __init__(self, weight=1):
        self.weight = weight

    def __eq__(self, other):
        return isinstance(other, Model) and self.weight == other.weight

    __hash__ = None


def returned(value, annotation=Any, **options):
    """Return what a decorated function that returns `value` gives its engine."""

    def step():
        return value() if callable(value) else value

    step.__annotations__["return"] = annotation
    return with_storage(**options)(step)()


def received(value, annotation=Any):
    """Return what a decorated function sees for a parameter."""

    def step(x):
        seen.append(x)

    seen: list[Any] = []
    step.__annotations__["x"] = annotation
    with_storage(step)(x=value)
    return seen[0]


def ref_of(travelling) -> ArtifactRef:
    assert list(travelling) == [TAG]
    return ArtifactRef.parse(travelling)


@pytest.mark.parametrize("value", [0, 1.5, True, "", "text", [], {}, [1, {"a": None}], {"a": [1, "x"]}])
def test_small_json_data_leaves_as_it_is(value):
    assert value == returned(value)


def test_none_leaves_as_a_reference_and_arrives_as_none():
    assert ref_of(returned(None)).kind == "inline"
    assert received(returned(None)) is None


def test_a_small_leaf_travels_within_its_reference():
    ref = ref_of(returned(b"abc"))

    assert (ref.kind, ref.format, ref.inline) == ("inline", "bytes@1", b"abc")


def test_a_big_leaf_is_stored():
    ref = ref_of(returned(np.arange(BIG)))

    assert (ref.kind, ref.format, ref.store) == ("blob", "npy@1", "default")


def test_leaves_are_replaced_one_by_one_and_data_stays():
    out = returned({"a": np.zeros(BIG), "n": 3, "inner": [{"deep": Model()}], "other": [b"x"]})

    assert out["n"] == 3
    assert [ref_of(one).format for one in (out["a"], out["inner"][0]["deep"], out["other"])] == [
        "npy@1",
        "pickle5@1",
        "json@2",
    ]


def test_what_leaves_is_json():
    value = {"nan": math.nan, "set": {1}, "tuple": (1, 2), "int": 1 << 9999, "keys": {1: 2}, "numpy": np.float64(1.5)}

    out = json.loads(json.dumps(returned(value), allow_nan=False))
    back = received(out)

    assert math.isnan(back.pop("nan"))
    assert back == {"set": {1}, "tuple": [1, 2], "int": 1 << 9999, "keys": {1: 2}, "numpy": 1.5}


def test_big_data_becomes_one_artifact_with_references_in_it():
    value = {"words": ["word"] * BIG, "array": np.arange(BIG)}

    ref = ref_of(returned(value))
    back = received(returned(value))

    assert ref.format == "json@1"
    assert ref.size < 1_000_000
    assert back["words"] == value["words"]
    assert np.array_equal(back["array"], value["array"])


def test_big_text_becomes_text():
    assert ref_of(returned("x" * BIG)).format == "text@1"


def test_the_limit_is_exact_in_encoded_bytes():
    value = ["é" * 10]
    encoded = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    assert value == returned(value, inline_max=encoded)
    assert ref_of(returned(value, inline_max=encoded - 1)).size == encoded


def test_a_reference_passes_through_untouched():
    travelling = returned(np.arange(BIG))

    assert travelling == returned(travelling)
    assert travelling == returned(ArtifactRef.parse(travelling))


def test_a_dict_with_the_tag_and_more_is_the_users():
    value = {TAG: "lucas://x", "more": 1}

    assert value == returned(value)
    assert value == received(value)


def test_a_file_is_uploaded_and_arrives_under_its_name(tmp_path):
    path = tmp_path / "räum.csv"
    path.write_bytes(b"a,b\n" * BIG)

    arrived = received(returned(path), Path)

    assert (arrived.name, arrived.read_bytes()) == ("räum.csv", path.read_bytes())
    assert arrived.stat().st_mode & 0o222 == 0
    assert arrived != path


def test_a_missing_file_is_the_functions_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        returned(tmp_path / "none")


def test_every_iterator_is_a_stream():
    data = ref_of(returned(lambda: (b"x" * 1000 for _ in range(100))))

    assert (data.format, data.kind, data.size) == ("stream@1", "manifest", 100_000)
    for items in ([0, 1, 2], [], ["1"]):
        assert ref_of(returned(lambda items=items: iter(items))).format == "stream@1"
        assert items == received(returned(lambda items=items: map(type(items[0]) if items else str, items)))


def test_pieces_arrive_piece_by_piece_however_they_were_returned():
    pieces = [b"a" * 5000, b"b"] * 100

    for travelling in (returned(pieces), returned(lambda: iter(pieces)), pieces):
        assert b"".join(pieces) == b"".join(received(travelling, Iterator[bytes]))


def test_a_generator_of_arrays_arrives_as_a_list_of_arrays():
    out = returned(lambda: (np.arange(n) for n in (1, 2)))

    assert [len(one) for one in received(out)] == [1, 2]


def test_a_generator_that_changes_its_mind_is_refused():
    with pytest.raises(TypeError, match="gave bytes and then a str"):
        returned(lambda: iter([b"a", "b"]))


def test_options_of_results_choose_format_and_name():
    frame = pd.DataFrame({"a": range(10_000)})
    ref = ref_of(returned(frame, Annotated[pd.DataFrame, Out("parquet", name="features.parquet")]))

    assert (ref.format, ref.filename) == ("parquet@1", "features.parquet")
    assert received(ref, Path).name == "features.parquet"


def test_options_within_containers_are_followed():
    out = returned((pd.DataFrame({"a": [1]}), 5), tuple[Annotated[pd.DataFrame, Out("parquet")], int])

    assert ref_of(out[0]).format == "parquet@1"
    assert out[1] == 5


def test_options_for_nested_data_store_its_leaves_apart():
    ref = ref_of(returned({"a": np.arange(BIG)}, Annotated[dict, Out(name="all.json")]))

    assert (ref.format, ref.filename) == ("json@1", "all.json")
    assert len(received(ref)["a"]) == BIG


def test_a_file_may_be_declared_but_not_as_a_pickle(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)

    assert received(returned(path, Annotated[Path, Out("parquet")]), pd.DataFrame)["a"].tolist() == [1]
    with pytest.raises(UnsafeFormatError, match="not encoded here"):
        returned(path, Annotated[Path, Out("pickle5")])


def test_data_that_contains_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)

    @with_storage
    def twice(loop):
        raise AssertionError

    with pytest.raises(ValueError, match=r"^the result of .* refers to itself"):
        returned(loop)
    with pytest.raises(ValueError, match=r"^parameter 'loop' of 'twice' refers to itself"):
        twice(loop=loop)


def test_an_error_of_a_result_names_the_function():
    with pytest.raises(NoFormatError, match="cannot be pickled") as caught:
        returned([threading.Lock()])

    assert caught.value.function == "step"


class Handle:
    """An open file of a library whose objects answer some names that they lack with a KeyError, as netCDF4's do."""

    def __getattr__(self, name):
        raise KeyError(name) if name in {"ndim", "dtype", "shape"} else AttributeError(name)

    def __reduce__(self):
        raise NotImplementedError("not picklable")


def test_an_object_that_answers_names_with_other_errors_is_refused_as_any_other():
    with pytest.raises(NoFormatError, match="Handle cannot be pickled"):
        returned([Handle()])


def test_pickles_are_signed_and_read_back():
    ref = ref_of(returned(Model(3)))

    assert ref.signature is not None
    assert received(ref.to_json()) == Model(3)


def test_an_unsigned_pickle_is_refused():
    ref = ref_of(returned(Model(3)))

    with pytest.raises(UnsafeFormatError, match="not signed") as caught:
        received(ref.signed(None))

    assert (caught.value.function, caught.value.param) == ("step", "x")


def test_a_pickle_signed_elsewhere_is_refused():
    ref = ref_of(returned(Model(3)))

    with (
        storage_context(signing_key="another key of sixteen"),
        pytest.raises(UnsafeFormatError, match="was not made with a key"),
    ):
        received(ref)


def test_pickle_can_be_denied_by_option_and_by_setting():
    with pytest.raises(UnsafeFormatError, match="pickle=False forbids"):
        returned(Model(), pickle=False)
    with storage_context(pickle="deny"), pytest.raises(UnsafeFormatError, match="LUCAS_STORAGE_PICKLE=deny"):
        returned(Model(), pickle=True)


LIFTED = [
    (b"abc", "bytes", b"abc"),
    (bytearray(b"abc"), "bytes", b"abc"),
    ("héllo", "str", "héllo"),
    (b"text", "str", "text"),
    ("text", "bytes", b"text"),
    ([1, 2], "bytes", b"[1,2]"),
    (7, "int", 7),
    ([1, 2], "list[int]", [1, 2]),
    ([b"a", b"b"], "list[bytes]", [b"a", b"b"]),
    ([b"a"], "list[str]", ["a"]),
    ({"k": b"a"}, "dict[str, str]", {"k": "a"}),
    ([1, b"b"], "tuple[int, bytes]", (1, b"b")),
    ([1, 2], "tuple[int, ...]", (1, 2)),
    ([1, 2], "set[int]", {1, 2}),
    (None, "Path | None", None),
    (None, "bytes | None", None),
    (b"x", "bytes | None", b"x"),
]


@pytest.mark.few(12)
@pytest.mark.parametrize(("value", "annotation", "seen"), LIFTED, ids=[f"{v!r}-{a}" for v, a, _ in LIFTED])
@pytest.mark.parametrize("inline_max", [0, 65536])
def test_no_function_sees_the_threshold(value, annotation, seen, inline_max):
    assert seen == received(returned(value, inline_max=inline_max), annotation)
    assert seen == received(value, annotation)


@pytest.mark.parametrize("size", [3, BIG])
def test_bytes_become_files_chunks_and_references(size):
    value = b"x" * size

    for travelling in (value, returned(value)):
        assert received(travelling, Path).read_bytes() == value
        assert received(travelling, ArtifactRef).size == size
        assert b"".join(received(travelling, Iterator[bytes])) == value
        with received(travelling, BinaryIO) as file:
            assert (file.seek(1), file.read(2)) == (1, value[1:3])


def test_a_local_path_given_directly_stays_or_is_opened(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello")

    assert received(path, Path) is path
    assert received(path, bytes) == b"hello"
    assert received(path, str) == "hello"
    with received(path, BinaryIO) as file:
        assert file.read() == b"hello"


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (np.arange(4), np.ndarray),
        (pa.table({"a": [1]}), pa.Table),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame),
        (pl.DataFrame({"a": [1, 2]}), pl.DataFrame),
    ],
    ids=["ndarray", "table", "dataframe", "polars"],
)
def test_arrays_and_tables_arrive_as_annotated(value, annotation):
    assert type(received(value, annotation)) is annotation
    assert type(received(returned(value), annotation)) is annotation
    assert type(received(returned([value]), list[annotation])[0]) is annotation


def test_tables_become_each_other():
    frame = pd.DataFrame({"a": [1, 2]})

    assert received(frame, pa.Table).to_pydict() == {"a": [1, 2]}
    assert received(returned(frame), pl.DataFrame)["a"].to_list() == [1, 2]


@pytest.mark.parametrize("value", [[1, 2], 5, "text", {"a": 1}, b"abc"], ids=repr)
@pytest.mark.parametrize("inline_max", [None, 0])
def test_a_value_of_another_kind_is_refused_by_name(value, inline_max):
    travelling = value if inline_max is None else returned(value, inline_max=inline_max)

    with pytest.raises((TypeError, DecodeError), match="ndarray") as caught:
        received(travelling, np.ndarray)

    assert "'x'" in str(caught.value)
    assert "'step'" in str(caught.value)


def test_an_empty_upstream_is_named():
    for empty in (None, b""):
        with pytest.raises(EmptyUpstreamError, match=r"parameter 'x' of 'step'.*nothing arrived"):
            received(empty, np.ndarray)


def test_references_in_sets_tuples_and_dicts_are_found():
    small = returned(b"abc")

    assert received([(small, 1), {"k": small}]) == [(b"abc", 1), {"k": b"abc"}]
    assert received({ArtifactRef.parse(small)}) == {b"abc"}


def test_one_reference_many_times_is_fetched_once(settings):
    travelling = returned(np.arange(BIG))

    arrived = received([travelling] * 20, list[np.ndarray])

    assert all(np.array_equal(np.arange(BIG), one) for one in arrived)
    assert len(list(settings["cache_dir"].glob("sha256/*/*/content"))) == 1


def test_changing_an_array_does_not_change_the_artifact():
    travelling = returned(np.zeros(BIG))
    received(travelling, np.ndarray)[0] = 1

    assert received(travelling, np.ndarray)[0] == 0


def test_a_missing_artifact_is_named(storage):
    travelling = returned(np.arange(BIG))
    ref = ref_of(travelling)
    storage.delete_object(ref.bucket, ref.key)

    with pytest.raises(ArtifactNotFoundError, match="is gone from store 'default'") as caught:
        received(travelling)

    assert (caught.value.function, caught.value.param, caught.value.key) == ("step", "x", ref.key)


def test_damaged_bytes_are_never_decoded(storage):
    ref = ref_of(returned(np.arange(BIG)))
    storage.put_object(ref.bucket, ref.key, b"z" * ref.size)

    with pytest.raises(DigestMismatchError, match="do not match their digest"):
        received(ref)

    again = ref_of(returned(np.arange(BIG)))
    assert again == ref
    assert np.array_equal(received(again), np.arange(BIG))


def test_an_unknown_store_is_not_dialled():
    ref = ref_of(returned(np.arange(BIG)))
    foreign = ref.to_json()[TAG].replace("lucas://default/", "lucas://evil/")

    with pytest.raises(UnknownStoreError, match="no endpoint for store 'evil'"):
        received({TAG: foreign})


def test_a_reference_that_names_a_host_opens_no_socket():
    uri = ref_of(returned(np.arange(BIG))).to_json()[TAG]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        for store in (host, f"user@{host}", f"default@{host}", f"default/{host}"):
            with pytest.raises(StorageError):
                received({TAG: uri.replace("lucas://default/", f"lucas://{store}/")})

        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_malformed_reference_names_its_parameter():
    with pytest.raises(InvalidRefError) as caught:
        received({TAG: "lucas://x"})

    assert (caught.value.function, caught.value.param) == ("step", "x")


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner),
    max_leaves=12,
)


@given(json_data, st.sampled_from([0, 1, 64, 1 << 16, 1 << 40]))
def test_results_are_equal_whatever_the_threshold(value, inline_max):
    if isinstance(value, dict) and list(value) == [TAG]:
        return

    assert value == received(returned(value, inline_max=inline_max))
