"""Tables as Arrow streams."""

from __future__ import annotations

from typing import Any

from actorc.storage.buffers import flat_view
from lucas_storage.limits import check_expansion

from . import decoded_size
from .table_encoding import TableFormat, table_of


class ArrowFormat(TableFormat):
    """A table as an Arrow IPC stream; reading maps the file and copies nothing.

    Holds a table only if decoding gives an equal one back; one that Arrow would change is left to other formats.
    """

    id = "arrow@1"
    content_type = "application/vnd.apache.arrow.stream"
    extension = ".arrows"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a table that comes back equal, or one that not even a pickle would give back.

        The latter is refused by `encode`, with its reason.

        Raises:
            MissingDependencyError: It is a DataFrame, and pyarrow is not installed.
        """
        found = table_of(value)
        if found is None:
            return False
        loss = found.loss(self)
        return loss is None or loss.by_all

    def keeps_values(self, arrow_type: Any) -> bool:
        """Return True: a stream has the very memory of the columns."""
        del arrow_type
        return True

    def write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        """Return the pieces of a stream, without a copy of columns."""
        pieces = _Pieces()
        with (
            arrow.PythonFile(pieces, mode="w") as file,
            arrow.ipc.new_stream(file, table.schema) as writer,
        ):
            writer.write_table(table)
        return pieces.held

    def schema(self, arrow: Any, stored_bytes: Any) -> Any:
        """Return the schema at the beginning of the stream."""
        return arrow.ipc.read_schema(stored_bytes)

    def read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        """Return the table, whose columns are views of the stored bytes."""
        # First: pyarrow allocates whatever the headers of compressed buffers claim.
        check_expansion(decoded_size.of_messages(arrow, stored_bytes), len(stored_bytes), ratio)
        with arrow.ipc.open_stream(stored_bytes) as reader:
            return reader.read_all()


class _Pieces:
    """A file that keeps the buffers written to it, without copying those of columns, which the table owns."""

    closed = False

    def __init__(self) -> None:
        self.held: list[bytes | memoryview] = []

    def write(self, data: Any) -> int:
        piece = data if isinstance(data, bytes) else flat_view(data)
        self.held.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Do nothing: the pieces are read after the writer has closed the file."""
