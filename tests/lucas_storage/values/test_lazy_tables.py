"""Parameters that read only a part of a table: some columns, or what a lazy frame or a dataset is asked for."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lucas_storage import ArtifactRef, In, Out, Storage, with_storage
from lucas_storage.errors import DecodeError, LimitError, NoFormatError

ROWS = 20_000
NUMBERS = {f"c{n}": np.random.default_rng(n).random(ROWS) for n in range(20)}
ONE_COLUMN = ROWS * 8
FOOTER = 64 << 10
SMALL = pd.DataFrame(
    {"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, 2.5]},
    index=pd.date_range("2026", periods=3, freq="h", name="at"),
)


@pytest.fixture
def fetched(monkeypatch):
    """The sizes of all that clients have fetched, call by call."""
    sizes = []
    get, stream = Storage.get_object, Storage.stream_object

    def counted(self, *args, **options):
        data = get(self, *args, **options)
        sizes.append(len(data))
        return data

    def counted_pieces(self, *args, **options):
        for piece in stream(self, *args, **options):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(Storage, "get_object", counted)
    monkeypatch.setattr(Storage, "stream_object", counted_pieces)
    return sizes


@pytest.fixture
def parquet(storage, tmp_path):
    """A reference to a Parquet file of 3 MiB in four groups of rows, which is not in the cache."""
    pq.write_table(pa.table(NUMBERS), tmp_path / "wide.parquet", row_group_size=ROWS // 4)
    return storage.put(tmp_path / "wide.parquet", format="parquet")


@with_storage
def chosen(table: Annotated[pd.DataFrame, In(columns=["c7", "c3"])]) -> dict:
    return {"columns": list(table.columns), "sum": float(table["c7"].sum())}


@with_storage
def summed(frame: pl.LazyFrame) -> float:
    return frame.select(pl.col("c7").sum()).collect().item()


@with_storage
def above(dataset: ds.Dataset) -> int:
    return dataset.to_table(columns=["c1"], filter=ds.field("c1") > 2).num_rows


def test_only_the_columns_asked_for_are_fetched(parquet, storage, fetched):
    assert chosen(parquet) == {"columns": ["c7", "c3"], "sum": pytest.approx(NUMBERS["c7"].sum())}
    assert sum(fetched) <= 1.5 * 2 * ONE_COLUMN + 2 * FOOTER
    assert sum(fetched) < parquet.size / 4


def test_a_lazy_frame_fetches_the_columns_of_its_query(parquet, fetched):
    assert summed(parquet) == pytest.approx(NUMBERS["c7"].sum())
    assert sum(fetched) <= 1.5 * ONE_COLUMN + 2 * FOOTER


def test_a_dataset_skips_groups_of_rows_that_cannot_match(parquet, fetched):
    assert above(parquet) == 0
    assert sum(fetched) <= 2 * FOOTER


def test_a_copy_in_the_cache_is_read_instead(parquet, storage, fetched):
    storage.path(parquet)
    fetched.clear()

    assert chosen(parquet)["columns"] == ["c7", "c3"]
    assert summed(parquet) == pytest.approx(NUMBERS["c7"].sum())
    assert fetched == []


@pytest.mark.slow
def test_of_an_artifact_in_parts_those_are_fetched_in_which_the_columns_lie(storage, small_parts, tmp_path, fetched):
    pq.write_table(pa.table(NUMBERS), tmp_path / "wide.parquet")
    with (tmp_path / "wide.parquet").open("rb") as file:
        ref = storage.put(file, format="parquet")
    fetched.clear()

    assert ref.kind == "manifest"
    assert chosen(ref)["sum"] == pytest.approx(NUMBERS["c7"].sum())
    assert sum(fetched) < ref.size / 3


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
@pytest.mark.parametrize("columns", [["c", "a"], ["b"]])
def test_columns_are_those_of_the_whole_table(storage, kind, columns):
    wanted = In(columns=columns)
    ref = storage.put(SMALL, format=kind)

    pd.testing.assert_frame_equal(storage.get(ref, Annotated[pd.DataFrame, wanted]), SMALL[columns])
    assert storage.get(ref, Annotated[pa.Table, wanted]).equals(pa.Table.from_pandas(SMALL).select(columns))
    assert storage.get(ref, Annotated[pl.DataFrame, wanted]).equals(pl.from_pandas(SMALL).select(columns))
    assert storage.get(ref, Annotated[pl.LazyFrame, wanted]).collect().equals(pl.from_pandas(SMALL).select(columns))
    assert storage.get(ref, Annotated[ds.Dataset, wanted]).schema.names == columns


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_a_lazy_frame_has_what_was_stored(storage, kind):
    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "s": ["x", None, "ä"],
            "l": [[1], None, []],
            "d": [{"k": 1.5}] * 3,
            "t": pl.Series([0, 1, 2], dtype=pl.Datetime("us", "UTC")),
        }
    )

    assert storage.get(storage.put(frame, format=kind), pl.LazyFrame).collect().equals(frame)


def test_a_table_that_travelled_as_a_value_is_taken_apart_too(settings):
    @with_storage
    def local(one: Annotated[pd.DataFrame, In(columns=["a"])], two: pl.LazyFrame, three: ds.Dataset) -> list:
        return [list(one.columns), two.collect().columns, three.schema.names]

    pairs = pl.DataFrame({"x": [1], "y": [2]})

    assert local(SMALL, pairs, pa.table({"z": [1]})) == [["a"], ["x", "y"], ["z"]]
    assert local(SMALL, pairs.lazy(), ds.dataset(pa.table({"z": [1]})))[1:] == [["x", "y"], ["z"]]


def test_columns_are_wanted_within_containers_and_where_there_may_be_none(settings, storage):
    @with_storage
    def each(
        tables: list[Annotated[pd.DataFrame, In(columns=["a"])]],
        other: Annotated[pd.DataFrame | None, In(columns=["a"])] = None,
    ) -> list:
        return [*[list(table.columns) for table in tables], other]

    assert each([storage.put(SMALL), SMALL]) == [["a"], ["a"], None]


def test_a_missing_column_is_named_with_those_that_there_are(storage, parquet):
    @with_storage
    def wrong(table: Annotated[pd.DataFrame, In(columns=["a", "nothing"])]) -> None: ...

    for given in (storage.put(SMALL), storage.put(SMALL, format="parquet"), parquet, SMALL):
        with pytest.raises(DecodeError, match=r"no column '(nothing|a)'") as caught:
            wrong(given)
        assert (caught.value.param, "wrong" in caught.value.function) == ("table", True)


@pytest.mark.parametrize("wrong", ["a", [], ["a", "a"], [1], None])
def test_columns_are_names_each_once(wrong):
    with pytest.raises((TypeError, ValueError)):
        In(columns=wrong)


def test_in_is_refused_where_it_means_nothing():
    with pytest.raises(TypeError, match="has no columns"):

        @with_storage
        def text(value: Annotated[str, In(columns=["a"])]) -> None: ...

    with pytest.raises(TypeError, match="for parameters"):

        @with_storage
        def result() -> Annotated[pd.DataFrame, In(columns=["a"])]: ...

    with pytest.raises(TypeError, match="fill in"):

        @with_storage
        def unfilled(value: Annotated[pd.DataFrame, In]) -> None: ...


def test_a_plan_and_a_dataset_are_refused_as_results_with_the_way_out(settings, storage):
    with pytest.raises(NoFormatError, match="collect"):
        storage.put(pl.DataFrame({"a": [1]}).lazy())
    with pytest.raises(NoFormatError, match="to_table"):
        storage.put({"deep": [ds.dataset(pa.table({"a": [1]}))]})


def test_what_is_no_table_is_told(storage, tmp_path):
    (tmp_path / "no.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    damaged = storage.put(tmp_path / "no.parquet", format="parquet")

    for annotation in (pl.LazyFrame, ds.Dataset, Annotated[pd.DataFrame, In(columns=["a"])]):
        with pytest.raises(DecodeError):
            storage.get(damaged, annotation)
        with pytest.raises((DecodeError, TypeError)):
            storage.get(storage.put(b"no table"), annotation)
        with pytest.raises((DecodeError, TypeError)):
            storage.get(storage.put([1, 2]), annotation)


@pytest.mark.parametrize("annotation", [pl.LazyFrame, ds.Dataset, Annotated[pd.DataFrame, In(columns=["a"])]])
def test_a_size_out_of_proportion_is_refused_before_it_is_decoded(storage, tmp_path, monkeypatch, annotation):
    monkeypatch.setattr("lucas_storage.limits.UNASKED", 1000)
    pq.write_table(pa.table({"a": np.zeros(1_000_000)}), tmp_path / "zeros.parquet")

    with pytest.raises(LimitError):
        storage.get(storage.put(tmp_path / "zeros.parquet", format="parquet"), annotation)


def test_one_long_text_for_every_row_is_counted_while_it_is_read(storage, tmp_path, monkeypatch):
    words = pa.table({"a": ["x" * 1000] * 20_000, "b": [1] * 20_000})
    pq.write_table(words, tmp_path / "words.parquet")
    ref = storage.put(tmp_path / "words.parquet", format="parquet")
    monkeypatch.setattr("lucas_storage.limits.UNASKED", 10_000_000)

    assert storage.get(ref, Annotated[pa.Table, In(columns=["b"])]).equals(words.select(["b"]))
    with pytest.raises(LimitError):
        storage.get(ref, Annotated[pa.Table, In(columns=["a"])])
    monkeypatch.setattr("lucas_storage.limits.UNASKED", 15_000_000_000)
    assert storage.get(ref, Annotated[pa.Table, In(columns=["a"])]).equals(words.select(["a"]))


def test_types_that_parquet_lacks_come_back_in_single_columns(storage):
    table = pa.table(
        {"s": pa.array([1, 2], pa.timestamp("s")), "l": [[1], []], "d": pa.array(["x", "y"]).dictionary_encode()}
    )
    ref = storage.put(table, format="parquet")

    for name in table.column_names:
        found = storage.get(ref, Annotated[pa.Table, In(columns=[name])])
        assert found.equals(table.select([name]), check_metadata=True)
        assert str(found.schema) == str(table.select([name]).schema)


def test_annotations_in_text_name_columns_too():
    namespace = {"Annotated": Annotated, "pd": pd, "In": In, "with_storage": with_storage}
    exec(  # a function whose annotations are text, as under `from __future__ import annotations`
        "from __future__ import annotations\n"
        "@with_storage\n"
        "def told(table: Annotated[pd.DataFrame, In(columns=['c', 'a'])]) -> list: return list(table.columns)\n",
        namespace,
    )

    assert namespace["told"](SMALL) == ["c", "a"]


def test_a_parquet_result_is_read_in_part_by_the_next_step(settings, fetched):
    @with_storage
    def made() -> Annotated[pd.DataFrame, Out("parquet")]:
        return pd.DataFrame(NUMBERS)

    ref = ArtifactRef.parse(made())
    fetched.clear()

    assert chosen(ref)["sum"] == pytest.approx(NUMBERS["c7"].sum())
    assert sum(fetched) < ref.size / 4
