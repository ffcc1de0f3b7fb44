"""Libraries of tables read and write ``lucas://``."""

from __future__ import annotations

import pytest

from actorc.storage.testing import local_server

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("default"),  # those of other libraries about each other
]


def test_pandas(fs, weather, tmp_path):
    import pandas as pd

    assert pd.read_csv("lucas://data/weather.csv").equals(weather)
    written = {
        "csv": (lambda url: weather.to_csv(url, index=False), pd.read_csv),
        "csv.gz": (lambda url: weather.to_csv(url, index=False), pd.read_csv),
        "parquet": (weather.to_parquet, pd.read_parquet),
        "feather": (weather.to_feather, pd.read_feather),
        "pkl.xz": (weather.to_pickle, pd.read_pickle),
    }
    for suffix, (write, read) in written.items():
        write(f"lucas://data/out.{suffix}")
        assert read(f"lucas://data/out.{suffix}").equals(weather), suffix
    weather.to_json("lucas://data/out.json.zip")
    assert pd.read_json("lucas://data/out.json.zip").wind.tolist() == pytest.approx(weather.wind.tolist())
    columns = ["wind", "weather"]
    assert pd.read_parquet("lucas://data/out.parquet", columns=columns).equals(weather[columns])
    parts = {"partition_cols": ["weather"], "index": False}
    weather.to_parquet("lucas://data/parts", **parts)
    snow = pd.read_parquet("lucas://data/parts", filters=[("weather", "==", "snow")])
    assert len(snow) == (weather["weather"] == "snow").sum()
    options = {"endpoint": fs.client.endpoint}
    assert len(pd.read_csv("lucas://data/weather.csv", storage_options=options)) == len(weather)
    with pytest.raises(FileNotFoundError):
        pd.read_csv("lucas://data/none.csv")


def test_polars(fs, weather):
    import polars as pl
    import pyarrow.dataset

    with fs.open("data/weather.csv") as file:
        table = pl.read_csv(file)
    assert table.equals(pl.from_pandas(weather))
    with fs.open("data/out.parquet", "wb") as file:
        table.write_parquet(file)
    with fs.open("data/out.parquet") as file:
        assert pl.read_parquet(file, columns=["wind"]).equals(table.select("wind"))
    with fs.open("data/out.parquet") as file:
        assert pl.scan_parquet(file).filter(pl.col("weather") == "snow").collect().height == 23
    stored = pyarrow.dataset.dataset("data/out.parquet", filesystem=fs)
    assert pl.scan_pyarrow_dataset(stored).select("wind").collect().equals(table.select("wind"))


def test_pyarrow(fs, weather):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(weather)
    ds.write_dataset(table, "data/parts", format="parquet", partitioning=["weather"], filesystem=fs)
    parts = ds.dataset("data/parts", filesystem=fs, partitioning=["weather"])
    assert parts.to_table(filter=ds.field("weather") == "snow").num_rows == 23
    assert parts.count_rows() == table.num_rows
    assert sorted(fs.ls("data/parts", detail=False)) == [
        f"data/parts/{name}" for name in sorted(weather["weather"].unique())
    ]
    pq.write_table(table, "data/whole.parquet", filesystem=fs)
    assert pq.read_table("data/whole.parquet", filesystem=fs).equals(table)
    assert pq.read_table("fsspec+lucas://data/whole.parquet", columns=["wind"]).equals(table.select(["wind"]))
    assert ds.dataset("fsspec+lucas://data/whole.parquet").count_rows() == table.num_rows
    with fs.open("data/weather.csv") as file:
        assert pa.csv.read_csv(file).num_rows == table.num_rows
    ds.write_dataset(
        table,
        "data/parts",
        format="parquet",
        filesystem=fs,
        existing_data_behavior="delete_matching",
    )
    wrapped = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(fs))
    infos = wrapped.get_file_info(["data/whole.parquet", "data/parts", "data/none"])
    assert [info.type.name for info in infos] == ["File", "Directory", "NotFound"]
    assert infos[0].mtime is not None
    wrapped.move("data/whole.parquet", "data/moved.parquet")
    wrapped.delete_dir("data/parts")
    assert fs.find("data") == ["data/moved.parquet", "data/weather.csv"]


def test_dask(fs, weather):
    import dask
    import dask.dataframe as dd
    import pandas as pd

    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            parts = dd.read_csv("lucas://data/weather.csv", blocksize="16KiB")
            assert parts.npartitions > 1
            assert parts.temp_max.mean().compute() == pytest.approx(weather.temp_max.mean())
            parts.to_parquet(f"lucas://data/{scheduler}.parquet")
            assert len(dd.read_parquet(f"lucas://data/{scheduler}.parquet")) == len(weather)
            parts.to_csv("lucas://data/one.csv", single_file=True, index=False)
            assert pd.read_csv("lucas://data/one.csv").equals(weather)
            parts.to_csv(f"lucas://data/{scheduler}/part-*.csv.gz", index=False, compression="gzip")
            several = dd.read_csv(f"lucas://data/{scheduler}/*.csv.gz", blocksize=None, compression="gzip")
            assert len(several) == len(weather)


def test_dask_on_processes(fs, weather):
    import dask
    import dask.dataframe as dd

    with dask.config.set(scheduler="processes", num_workers=2):
        parts = dd.read_csv("lucas://data/weather.csv", blocksize="16KiB")
        assert parts.temp_max.mean().compute() == pytest.approx(weather.temp_max.mean())


def test_duckdb(fs, weather):
    import duckdb

    weather.to_parquet("lucas://data/a.parquet")
    weather.to_parquet("lucas://data/b.parquet")
    with duckdb.connect() as database:
        database.register_filesystem(fs)

        def first(query):
            return database.execute(query).fetchall()[0]

        assert first("SELECT count(*) FROM 'lucas://data/a.parquet' WHERE weather = 'snow'") == (23,)
        assert first("SELECT count(*) FROM 'lucas://data/*.parquet'") == (2 * len(weather),)
        assert first("SELECT count(*) FROM read_csv('lucas://data/weather.csv')") == (len(weather),)
        database.execute("COPY (SELECT * FROM 'lucas://data/a.parquet') TO 'lucas://data/c.parquet'")
        assert first("SELECT max(temp_max) FROM 'lucas://data/c.parquet'") == (weather.temp_max.max(),)
        options = "FORMAT parquet, PARTITION_BY (weather), OVERWRITE_OR_IGNORE"
        database.execute(f"COPY (FROM 'lucas://data/a.parquet') TO 'lucas://data/by' ({options})")
        assert first("SELECT count(*) FROM 'lucas://data/by/*/*.parquet' WHERE weather = 'snow'") == (23,)
        with pytest.raises(Exception, match=r"none\.parquet"):
            database.execute("FROM 'lucas://data/none.parquet'")


@pytest.fixture
def numbers(fs):
    """A table of eight groups of rows and ten columns, of 8 MiB, as one file and as a directory of partitions."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, random = 100_000, np.random.default_rng(0)
    columns = {f"c{number}": random.random(count) for number in range(8)}
    table = pa.table({"id": np.arange(count), "g": np.arange(count) // (count // 8), **columns})
    pq.write_table(table, "data/k.parquet", filesystem=fs, row_group_size=count // 8)
    pq.write_to_dataset(table, "data/parts", partition_cols=["g"], filesystem=fs)
    return table


def test_the_threads_of_duckdb_read_what_is_there(fs, numbers):
    import duckdb

    truth = (numbers["c3"].to_numpy().sum(), numbers["id"].to_numpy().sum())
    with duckdb.connect() as database:
        database.execute("SET threads = 8")
        database.register_filesystem(fs)
        for source in ("'lucas://data/k.parquet'", "read_parquet('lucas://data/parts/**/*.parquet')"):
            for _ in range(5):
                assert database.execute(f"SELECT sum(c3), sum(id) FROM {source}").fetchall()[0] == pytest.approx(truth)


@pytest.fixture
def counted(monkeypatch):
    """The file system over a server that counts, and a function that tells the bytes that another one got."""
    from urllib.request import urlopen

    import fsspec

    with local_server(http=True) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_LOCAL", "0")
        made = fsspec.filesystem("lucas", skip_instance_cache=True)
        made.mkdir("data")

        def out():
            with urlopen(f"{server.http_endpoint}/metrics") as page:
                lines = page.read().decode().splitlines()
            found = (line for line in lines if line.startswith('storage_object_bytes_total{direction="out"'))
            return sum(float(line.split()[-1]) for line in found)

        def counting(act):
            before = out()
            found = act()
            return found, out() - before

        yield made, counting


def test_one_column_of_one_group_of_rows_costs_its_own_bytes(counted):
    import duckdb
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    fs, counting = counted
    count, random = 800_000, np.random.default_rng(0)
    columns = {f"c{number}": random.random(count) for number in range(4)}
    table = pa.table({"g": np.arange(count) // (count // 8), **columns})
    own = 8 * count // 8
    pq.write_table(table, "data/k", filesystem=fs, row_group_size=count // 8)
    pq.write_to_dataset(table, "data/parts", partition_cols=["g"], filesystem=fs)
    scan = {"columns": ["c3"], "filter": ds.field("g") == 3}
    hive = {"filesystem": fs, "partitioning": "hive"}
    wanted = pl.col("g") == 3
    url = "lucas://data/k"
    whole, bytes_of_whole = counting(lambda: pq.read_table("data/k", filesystem=fs).num_rows)
    with duckdb.connect() as database:
        database.register_filesystem(fs)
        ways = {
            "pyarrow": lambda: ds.dataset("data/k", filesystem=fs).to_table(**scan).num_rows,
            "partitions": lambda: ds.dataset("data/parts", **hive).to_table(**scan).num_rows,
            "pandas": lambda: len(pd.read_parquet(url, columns=["c3"], filters=[("g", "==", 3)])),
            "polars": lambda: (
                pl.scan_pyarrow_dataset(ds.dataset("data/k", filesystem=fs))
                .filter(wanted)
                .select("c3")
                .collect()
                .height
            ),
            "polars, url": lambda: pl.scan_parquet(fs.sign("data/k")).filter(wanted).select("c3").collect().height,
            "duckdb": lambda: database.execute(f"SELECT count(c3) FROM read_parquet('{url}') WHERE g = 3").fetchall()[
                0
            ][0],
        }
        found = {name: counting(way) for name, way in ways.items()}

    assert (whole, bytes_of_whole > 4 * count * 8) == (count, True)
    assert {name: rows for name, (rows, _) in found.items()} == dict.fromkeys(ways, count // 8)
    assert {name: size for name, (_, size) in found.items() if size > 2 * own} == {}
