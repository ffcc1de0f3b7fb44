"""`In`: options of one parameter, written into its annotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["In"]


@dataclass(frozen=True, slots=True)
class In:
    """Options of one parameter, as in ``Annotated[pd.DataFrame, In(columns=["city", "population"])]``.

    Only the named columns are read, and arrive in this order; a DataFrame keeps its index. Of a Parquet file in
    storage, only their bytes are fetched.

    Args:
        columns: Names of columns of a pandas or polars DataFrame, a `pyarrow.Table`, a `polars.LazyFrame` or a
            `pyarrow.dataset.Dataset`.

    Raises:
        TypeError: `columns` is no sequence of str.
        ValueError: It is empty, or names a column twice.
    """

    columns: Sequence[str]

    def __post_init__(self) -> None:
        if isinstance(self.columns, str) or not all(isinstance(name, str) for name in self.columns):
            raise TypeError(f"In takes a list of names as its columns, not {self.columns!r}")
        names = tuple(self.columns)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"In takes at least one column, and each once, not {list(names)}")
        object.__setattr__(self, "columns", names)  # as a tuple, so that it is as frozen as the rest


In.__module__ = "lucas_storage.outputs"  # beside `Out`, where processes of any version look for it
