"""Labels of this package in the metadata of a schema: the class of the table, and the frequency of its index.

Encoding adds them and decoding removes them again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_CLASS: Final = b"lucas.class"
_FREQUENCY: Final = b"lucas.index_freq"


class Labels(NamedTuple):
    """Labels of one table."""

    word: str
    """The word of its class, as in `TableConversion.word`."""
    frequency: str | None = None
    """The frequency of the index of a DataFrame, of which Arrow has none."""


def with_labels(table: Any, labels: Labels) -> Any:
    """Return the table with labels in its schema.

    Raises:
        ValueError: It has rows and no columns, and would lose the number of its rows.
    """
    if table.num_rows and not table.num_columns:
        raise ValueError("rows without columns would be lost")
    added = {_CLASS: labels.word.encode()}
    if labels.frequency is not None:
        added[_FREQUENCY] = labels.frequency.encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **added})


def without_labels(table: Any) -> tuple[Any, Labels]:
    """Return the table as it was before `with_labels`, and its labels; a table without labels is a `pyarrow.Table`."""
    return table.replace_schema_metadata(metadata_without_labels(table.schema)), labels_of(table.schema)


def metadata_without_labels(schema: Any) -> dict[bytes, bytes] | None:
    """Return the metadata of a schema as it was before `with_labels`."""
    metadata = schema.metadata or {}
    return {key: value for key, value in metadata.items() if key not in (_CLASS, _FREQUENCY)} or None


def labels_of(schema: Any) -> Labels:
    """Return the labels in a schema."""
    metadata = schema.metadata or {}
    frequency = metadata.get(_FREQUENCY)
    return Labels(metadata.get(_CLASS, b"table").decode(), None if frequency is None else frequency.decode())


def own_keys(schema: Any) -> list[str]:
    """Return the keys in the metadata of a user's schema that decoding would take for labels."""
    return [key.decode() for key in (_CLASS, _FREQUENCY) if key in (schema.metadata or {})]
