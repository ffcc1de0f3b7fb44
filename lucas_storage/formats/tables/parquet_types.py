"""Arrow types that Parquet does not have: those it gives back as others, and the way back to what was written.

Seconds are written as milliseconds, `date64` as days, and the items of lists get another name. pyarrow keeps the
written schema in the file, so that these can be cast back, which loses nothing and takes at most twice the memory.
"""

from __future__ import annotations

from typing import Any


def keeps_values(arrow: Any, arrow_type: Any) -> bool:
    """Return whether Parquet keeps the values of a type whenever it keeps the type.

    Not those of dictionaries, whose entries may come in another order, of `date64`, whose time of day is dropped, or of
    nulls within other types, which pyarrow does not cast back in every case.
    """
    types = arrow.types
    if types.is_dictionary(arrow_type) or types.is_date64(arrow_type):
        return False
    inner = _inner_types(arrow, arrow_type)
    return not any(map(types.is_null, inner)) and all(keeps_values(arrow, each) for each in inner)


def restored(arrow: Any, table: Any, written: Any) -> Any:
    """Return the table with the types that were written, where a file's reader has changed them.

    Args:
        arrow: The package.
        table: As pyarrow read it.
        written: The schema that the file says was written, or None. It may be a stranger's: only casts that need no
            more than twice the memory are made.
    """
    if written is None or len(written) != len(table.schema):
        return table
    fields, columns = list(table.schema), list(table.columns)
    for index, (found, wanted) in enumerate(zip(table.schema, written, strict=True)):
        if (
            found.name != wanted.name
            or found.equals(wanted, check_metadata=True)
            or not _is_cast_back(arrow, found.type, wanted.type)
        ):
            continue
        try:
            cast = columns[index].cast(wanted.type)
            cast.validate()
        except arrow.ArrowException:  # not in this version, or not these values: the column stays as pyarrow read it
            continue
        columns[index] = cast
        fields[index] = wanted
    return arrow.Table.from_arrays(columns, schema=arrow.schema(fields, metadata=table.schema.metadata))


def _is_cast_back(arrow: Any, found: Any, wanted: Any) -> bool:
    types = arrow.types
    if found == wanted:  # but for names of items, which equality leaves out
        return True
    if types.is_timestamp(found) and types.is_timestamp(wanted):
        return bool(found.tz == wanted.tz)
    if (types.is_date32(found) and types.is_date64(wanted)) or (types.is_time32(found) and types.is_time32(wanted)):
        return True
    if types.is_dictionary(found) and types.is_dictionary(wanted):
        return bool(found.value_type == wanted.value_type)
    inner = list(zip(_inner_types(arrow, found), _inner_types(arrow, wanted), strict=False))
    same_kind = found.id == wanted.id and found.num_fields == wanted.num_fields
    return same_kind and bool(inner) and all(_is_cast_back(arrow, *pair) for pair in inner)


def _inner_types(arrow: Any, arrow_type: Any) -> list[Any]:
    types = arrow.types
    if isinstance(arrow_type, arrow.BaseExtensionType):
        return [arrow_type.storage_type]
    if types.is_map(arrow_type):
        return [arrow_type.key_type, arrow_type.item_type]
    if hasattr(arrow_type, "value_field"):
        return [arrow_type.value_type]
    if types.is_struct(arrow_type):
        return [arrow_type.field(index).type for index in range(arrow_type.num_fields)]
    return []
