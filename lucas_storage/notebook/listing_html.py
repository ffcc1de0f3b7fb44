"""A listing as HTML. It stays the plain dict that programs know, so the notebook asks for it by its names."""

from __future__ import annotations

from typing import Any, Final

from actorc.storage.models import ListResult
from actorc.storage.units import shown_size
from lucas_storage.display import markup

_NAMES: Final = frozenset(ListResult.__annotations__)
_MOST: Final = 100
"""Names that are shown."""


def is_listing(value: object) -> bool:
    """Return whether a value is what `list_objects` returns."""
    return type(value) is dict and value.keys() == _NAMES and isinstance(value["objects"], list)


def html(listing: dict[str, Any]) -> str:
    """Return a table of a listing: folders, then objects with size, type and time, and their number."""
    folders = [[name, "", "", ""] for name in listing["common_prefixes"][:_MOST]]
    objects = [_row(each) for each in listing["objects"][: _MOST - len(folders)]]
    total = sum(each["size"] for each in listing["objects"])
    count = len(listing["objects"]) + len(listing["common_prefixes"])
    more = [f"{count - len(folders) - len(objects)} more names"] if count > len(folders) + len(objects) else []
    more += ["and further pages"] if listing["is_truncated"] else []
    return markup.box(
        markup.heading(
            f"{listing['bucket']}/{listing['prefix']}",
            f"{count} {'name' if count == 1 else 'names'}, {shown_size(total)}",
        ),
        markup.table(("key", "size", "type", "last modified"), [*folders, *objects]),
        markup.note(", ".join(more)) if more else "",
    )


def _row(found: dict[str, Any]) -> list[str]:
    when = found["last_modified"]
    return [found["key"], shown_size(found["size"]), found["content_type"], f"{when:%Y-%m-%d %H:%M:%S}" if when else ""]
