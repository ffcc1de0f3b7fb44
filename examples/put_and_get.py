"""The storage client by itself: objects, files, listings, and what happens when something is missing.

lucas-storage run examples/put_and_get.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from actorc.storage import NotFoundError, StorageClient

BUCKET = "put-and-get"

with StorageClient() as client, tempfile.TemporaryDirectory() as folder:  # the endpoint is STORAGE_ENDPOINT
    client.create_bucket(BUCKET, exist_ok=True)

    # Bytes, with a few words about them. When put_object returns, they are on disk.
    poem = b"The fog comes\non little cat feet.\n"
    put = client.put_object(BUCKET, "poems/fog.txt", poem, metadata={"poet": "Sandburg"})
    print(f"stored {put['key']}, {put['size']} bytes, {put['content_type']}")
    print(client.get_object(BUCKET, "poems/fog.txt").decode())

    # Files. Neither end ever sees a half-written one.
    source, copy = Path(folder, "squares.csv"), Path(folder, "copies", "squares.csv")
    source.write_text("".join(f"{n},{n * n}\n" for n in range(1000)))
    client.upload_file(BUCKET, "tables/squares.csv", source)
    client.download_file(BUCKET, "tables/squares.csv", copy)
    print(f"the copy is the same: {copy.read_bytes() == source.read_bytes()}")

    # What there is: one object, all that begin alike, and the folders they seem to be in.
    head = client.head_object(BUCKET, "poems/fog.txt")
    print(f"by {head['metadata']['poet']}, crc32c {head['crc32c']}")
    for found in client.list_objects(BUCKET, prefix="tables/")["objects"]:
        print(f"{found['key']} has {found['size']} bytes")
    print(f"folders: {client.list_objects(BUCKET, delimiter='/')['common_prefixes']}")

    # Errors say what, where, and what to do next.
    client.delete_object(BUCKET, "poems/fog.txt")
    print(f"still there: {client.object_exists(BUCKET, 'poems/fog.txt')}")
    try:
        client.get_object(BUCKET, "poems/fog.txt")
    except NotFoundError as error:
        print(f"{error.code}: {error.message} ({error.bucket}/{error.key})")
