"""A page of 1000 names among a million keys, flat and rolled up at two depths."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from pathlib import Path

from actorc.storage.models import ListQuery, ObjectAttributes
from actorc.storage.server.engines.local import LocalEngine

from .harness import Row, seconds

KEYS = 1_000_000
ROUNDS = 20


def measure():
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder))
        engine = LocalEngine(folder, sweep_interval=None)
        queries = {
            "flat": ListQuery(bucket="bench"),
            "flat, from the middle": ListQuery(bucket="bench", after="p05/q0500/r"),
            "first level (10 prefixes)": ListQuery(bucket="bench", delimiter="/"),
            "second level (1000 prefixes)": ListQuery(bucket="bench", prefix="p03/", delimiter="/"),
            "third level (100 objects)": ListQuery(bucket="bench", prefix="p03/q0123/", delimiter="/"),
        }
        for name, query in queries.items():
            page = engine.page(query)
            names = len(page.objects) + len(page.common_prefixes)
            median = statistics.median(seconds(lambda query=query: engine.page(query)) for _ in range(ROUNDS))
            met = median <= 0.010
            yield Row(f"page of {names} among 1 M keys, {name}", f"{median * 1000:.1f} ms", "", "", "≤ 10 ms", met)
        engine.close()


def _fill(folder):
    """Put a million rows into the index at once, since storing a million objects takes long and is not measured."""
    engine = LocalEngine(folder, sweep_interval=None)
    engine.create_bucket("bench")
    with engine.writer("bench", "p00/q0000/r000") as writer:
        writer.commit(ObjectAttributes())
    engine.close()
    with sqlite3.connect(folder / "meta" / "meta.db") as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info (object)")]
        rest = ", ".join(columns[2:])
        connection.executemany(
            f"INSERT OR IGNORE INTO object (bucket_id, key, {rest}) SELECT bucket_id, ?, {rest} FROM object LIMIT 1",
            (
                (f"p{number // 100_000:02}/q{number // 100 % 1000:04}/r{number % 100:03}".encode(),)
                for number in range(KEYS)
            ),
        )
    connection.close()
