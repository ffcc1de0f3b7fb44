"""Tables as Parquet files."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from actorc.storage.buffers import flat_view
from lucas_storage.formats.base import package
from lucas_storage.limits import allowed, check_expansion

from . import decoded_size, parquet_types
from .page_claims import check_pages
from .table_encoding import TableFormat, table_of

_SCHEMA: Final = b"ARROW:schema"
"""Key in the metadata of a file under which pyarrow keeps the schema that was written."""


class ParquetFormat(TableFormat):
    """A table as a Parquet file: smaller, compressed, for tools outside; taken only on request."""

    id = "parquet@1"
    content_type = "application/vnd.apache.parquet"
    extension = ".parquet"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a table that comes back equal.

        Raises:
            MissingDependencyError: It is a DataFrame, and pyarrow is not installed.
        """
        found = table_of(value)
        return found is not None and found.loss(self) is None

    def keeps_values(self, arrow_type: Any) -> bool:
        """Return whether Parquet keeps the values of a type whenever it keeps the type."""
        return parquet_types.keeps_values(package("pyarrow", "arrow"), arrow_type)

    def write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        """Return the file."""
        sink = arrow.BufferOutputStream()
        package("pyarrow.parquet", "arrow").write_table(table, sink)
        return [flat_view(sink.getvalue())]

    def schema(self, arrow: Any, stored_bytes: Any) -> Any:
        """Return the schema in the footer."""
        decoded_size.of_parquet(memoryview(stored_bytes).cast("B"))  # raises for a footer that would crash pyarrow
        with arrow.BufferReader(stored_bytes) as file:
            return package("pyarrow.parquet", "arrow").read_schema(file)

    def read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        """Return the table, with the types that were written."""
        size, file_bytes = len(stored_bytes), memoryview(stored_bytes).cast("B")
        found = decoded_size.of_parquet(file_bytes)
        check_expansion(found.decoded, size, ratio)
        check_pages(file_bytes, chain.from_iterable(found.groups))
        with arrow.BufferReader(stored_bytes) as file, package("pyarrow.parquet", "arrow").ParquetFile(file) as parquet:
            dictionaries = _dictionaries(arrow, parquet)
            texts = [text for text in found.texts if text.column not in dictionaries]
            if sum(text.repeated for text in texts) <= allowed(size, ratio):
                table = parquet.read()
            else:
                # One long text may stand for every row, or for none; the footer does not say, so the size is counted.
                rows = decoded_size.rows_at_a_time(allowed(size, ratio), max(text.longest for text in texts))
                batches = _counted(parquet.iter_batches(rows), size, ratio)
                table = arrow.Table.from_batches(batches, parquet.schema_arrow)
            return parquet_types.restored(arrow, table, written_schema(arrow, parquet))


def written_schema(arrow: Any, parquet: Any) -> Any:
    """Return the schema of the table that was written, or None if the file does not say."""
    text = (parquet.metadata.metadata or {}).get(_SCHEMA)
    try:
        return None if text is None else arrow.ipc.read_schema(arrow.py_buffer(base64.b64decode(text, validate=True)))
    except (arrow.ArrowException, OSError, binascii.Error):
        return None


def _dictionaries(arrow: Any, parquet: Any) -> set[int]:
    """Return the numbers of the columns that are read as dictionaries, in which a text is there once for all rows."""
    counts = Counter(parquet.schema_arrow.names)
    fields = (field for field in parquet.schema_arrow if arrow.types.is_dictionary(field.type))
    # Not those whose path may be that of another column, too; a stranger chooses the names.
    names = {field.name for field in fields if counts[field.name] == 1 and "." not in field.name}
    return {index for index in range(len(parquet.schema)) if parquet.schema.column(index).path in names}


def _counted(batches: Iterable[Any], size: int, ratio: int) -> Iterator[Any]:
    """Yield batches of rows; raises an error when all together exceed the allowed size."""
    total = 0
    for batch in batches:
        total += batch.nbytes
        check_expansion(total, size, ratio)
        yield batch
