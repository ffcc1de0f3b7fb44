"""Puts of many inline objects of one bucket, by few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from actorc.storage.errors import StorageError
from actorc.storage.models import SmallObject
from actorc.storage.server.engines.batches import attempted
from actorc.storage.server.engines.local.index import content_refs
from actorc.storage.server.engines.local.index.changes.put_outcomes import AskedPut, PutOutcomes
from actorc.storage.server.engines.local.index.objects import Objects, WriteTarget
from actorc.storage.server.engines.local.rows import inline


def put(
    connection: sqlite3.Connection, objects: Objects, outcomes: PutOutcomes, bucket: str, batch: Sequence[SmallObject]
) -> list[tuple[Any, ...] | StorageError]:
    """Publish objects of different keys, and record them; return the row of `FIELDS` of each, or its error.

    Raises:
        BucketNotFoundError: There is no such bucket.
        sqlite3.Error: A damaged row is to be changed or removed; nobody knows for which object.
    """
    outcomes.recall(connection)
    asked = {each.key: AskedPut(len(each.data), each.crc32c, each.attributes, each.condition) for each in batch}
    done: dict[str, Any] = {key: attempted(lambda: outcomes.earlier(key, put)) for key, put in asked.items()}  # noqa: B023
    wanted = [each for each in batch if done[each.key] is None]
    places = objects.place_each(connection, bucket, [(each.key, each.condition) for each in wanted])
    objects.retire(connection, [place for place in places if isinstance(place, WriteTarget)])
    for each, place in zip(wanted, places, strict=True):
        if isinstance(place, StorageError):
            done[each.key] = place
            continue
        content_id = content_refs.add(connection, inline(each))
        fields = objects.publish(
            connection, place, content_id, each.attributes, size=len(each.data), crc32c=each.crc32c
        )
        outcomes.made(each.key, asked[each.key], fields)
        done[each.key] = fields
    outcomes.remember(connection)
    return [done[each.key] for each in batch]
