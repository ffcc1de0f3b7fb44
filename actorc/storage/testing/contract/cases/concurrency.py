"""Many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from actorc.storage.client import StorageClient

MiB = 1 << 20


class ConcurrencyCases:
    """Any method may be called from any thread."""

    def test_readers_see_one_generation_whole_while_writers_replace_it(self, storage: StorageClient) -> None:
        def body(number: int) -> bytes:
            return bytes([number]) * (MiB + number)

        storage.upload_from_stream("bucket", "key", [body(0)])

        def write(number: int) -> None:
            storage.upload_from_stream("bucket", "key", [body(number)])

        def read(_: int) -> bool:
            data = storage.get_object("bucket", "key")
            return data == body(data[0])

        with ThreadPoolExecutor(8) as threads:
            writes = [threads.submit(write, number) for number in range(1, 12)]
            reads = list(threads.map(read, range(24)))
            for written in writes:
                written.result()

        assert all(reads)

    def test_many_threads_share_one_subject_without_mixing_replies(self, storage: StorageClient) -> None:
        def round_trip(number: int) -> bool:
            key = f"key-{number}"
            storage.put_object("bucket", key, key.encode() * 100)
            return storage.get_object("bucket", key) == key.encode() * 100

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(round_trip, range(64)))

        assert len(storage.list_objects("bucket")["objects"]) == 64
