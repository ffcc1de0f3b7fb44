"""What the store says of an artifact that is read piece by piece is not taken for damage of its bytes."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lucas_storage.errors import NotFoundError, PermissionError
from lucas_storage.formats.tables import lazy_tables
from lucas_storage.previews.preview import preview


class LostBehindTheFooter(io.BytesIO):
    """A file whose object is removed, or closed to the reader, once its footer has been read."""

    def __init__(self, data, error):
        super().__init__(data)
        self._columns = len(data) - int.from_bytes(data[-8:-4], "little") - 8
        self._error = error

    def fileno(self):
        raise io.UnsupportedOperation("fileno")

    def read(self, size=-1):
        if self.tell() < self._columns:
            raise self._error
        return super().read(size)


@pytest.fixture(scope="module")
def parquet():
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": np.random.default_rng(1).random(100_000)}), sink)
    return sink.getvalue()


@pytest.mark.parametrize("error", [NotFoundError("gone", "b", "k"), PermissionError("closed", "b", "k")])
def test_a_table_whose_object_vanishes_while_columns_are_read_is_missing_not_damaged(parquet, error):
    with pytest.raises(type(error)) as caught:
        lazy_tables.columns_of_parquet(LostBehindTheFooter(parquet, error), len(parquet), 100, ["a"], "dataframe")

    assert caught.value is error


def test_a_preview_of_an_artifact_that_vanishes_while_it_is_read_says_that_it_is_missing(storage, storage_server):
    ref = storage.put(b"x" * 3_000_000)
    with storage_server.client(local=False) as client:
        file = client.open_object(ref.bucket, ref.key)
        client.delete_object(ref.bucket, ref.key)
        handle = SimpleNamespace(ranges=lambda _: file)

        with pytest.raises(NotFoundError):
            preview(handle, ref, 5)
