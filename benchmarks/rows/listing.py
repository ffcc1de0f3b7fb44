"""A page of 1000 names among a million keys, flat and rolled up: in the engine, and as a client gets it."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from actorc.storage.models import ListQuery, ObjectAttributes
from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.server.engines.local.index import row_checksums
from benchmarks.cases import Arm, Case, Within
from benchmarks.services import clients, storage_server
from benchmarks.setting import BUCKET

KEYS = 1_000_000
QUERIES = {
    "flat": {},
    "flat, from the middle": {"after": "p05/q0500/r"},
    "first level (10 prefixes)": {"delimiter": "/"},
    "second level (1000 prefixes)": {"prefix": "p03/", "delimiter": "/"},
    "third level (100 objects)": {"prefix": "p03/q0123/", "delimiter": "/"},
}


def cases(setting):
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), KEYS)
        engine = LocalEngine(folder, sweep_interval=None)
        for name, query in QUERIES.items():
            asked = ListQuery(bucket=BUCKET, **query)
            arm = Arm("page in the engine", lambda _, asked=asked: engine.page(asked), target=Within(0.010))
            yield Case(f"page of {KEYS:,} keys, {name}", [arm], calls=20, rounds=setting.scale.rounds)
        engine.close()
        with storage_server(data=folder) as server, clients(server) as found:
            arms = [
                Arm("list_objects", lambda _, client=client: client.list_objects(BUCKET), server.pids, transport)
                for transport, client in found.items()
            ]
            yield Case(f"list_objects, 1000 of {KEYS:,} keys", arms, calls=20, rounds=setting.scale.rounds)


def fill(folder, count):
    """Put so many rows into an index at once, since storing as many objects takes long and is not measured."""
    engine = LocalEngine(folder, sweep_interval=None)
    engine.create_bucket(BUCKET)
    with engine.writer(BUCKET, key_of(0)) as writer:
        writer.commit(ObjectAttributes())
    engine.close()
    with sqlite3.connect(folder / "meta" / "meta.db") as connection:
        row_checksums.register(connection)
        columns = [row[1] for row in connection.execute("PRAGMA table_info (object)")]
        rest = ", ".join(columns[2:])
        connection.executemany(
            f"INSERT OR IGNORE INTO object (bucket_id, key, {rest}) SELECT bucket_id, ?, {rest} FROM object LIMIT 1",
            zip(map(str.encode, map(key_of, range(count))), strict=True),
        )
    connection.close()


def key_of(number):
    """Return one of a million keys in three levels."""
    return f"p{number // 100_000:02}/q{number // 100 % 1000:04}/r{number % 100:03}"
