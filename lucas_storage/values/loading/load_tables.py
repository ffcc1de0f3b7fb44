"""Loads tables of which only a part is read: some columns, or whatever a lazy frame or a dataset is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lucas_storage import settings
from lucas_storage.artifacts.store import store_for
from lucas_storage.formats.base import Source, package
from lucas_storage.formats.tables import lazy_tables
from lucas_storage.refs import ArtifactRef

LAZY: Final = frozenset({"lazyframe", "dataset"})
"""Words for tables that are read later."""
_PARQUET: Final = "parquet@1"
_ARROW: Final = "arrow@1"

Load = Callable[[ArtifactRef, str], Any]
"""Loads a whole table, as `load_value.load`."""


def lazy(ref: ArtifactRef, word: str, load: Load) -> Any:
    """Return a `polars.LazyFrame` or a `pyarrow.dataset.Dataset`.

    Of a Parquet file, it fetches columns and row groups when they are needed; of an Arrow stream it maps the copy here.

    Raises:
        ArtifactError: The artifact is gone, or holds no table.
    """
    if ref.format == _PARQUET:
        dataset = lazy_tables.dataset_of_parquet(store_for(_store(ref)).ranges(ref), ref.size, _ratio())
    else:
        dataset = package("pyarrow.dataset", "arrow").dataset(load(ref, "table"))
    return lazy_tables.lazy_frame(dataset) if word == "lazyframe" else dataset


def columns(ref: ArtifactRef, wanted: tuple[str, ...], word: str, load: Load, source: Source) -> Any:
    """Return some columns of a table, as the class that `word` names; the others are not read, or not converted.

    Raises:
        ArtifactError: The artifact is gone, holds no table, or has no such column.
    """
    if word in LAZY:
        return lazy_tables.select(lazy(ref, word, load), wanted, word)
    if ref.format == _PARQUET:
        with store_for(_store(ref)).ranges(ref) as file:
            return lazy_tables.columns_of_parquet(file, ref.size, _ratio(), wanted, word)
    if ref.format == _ARROW:
        return lazy_tables.columns_of_arrow(source, wanted, word)
    return load(ref, word)


def _store(ref: ArtifactRef) -> str | None:
    return None if ref.inline is not None else ref.store


def _ratio() -> int:
    return settings.resolve().max_expansion.value
