"""Tables of pyarrow, pandas and polars, as Arrow streams that are mapped without a copy, or as Parquet."""

from __future__ import annotations

from .arrow_stream import ArrowFormat
from .parquet_file import ParquetFormat

__all__ = ["ArrowFormat", "ParquetFormat"]
