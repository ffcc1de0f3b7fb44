"""Objects that come as streams."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import ObjectNotFoundError

MiB = 1 << 20


class SourceError(Exception):
    """Raised by a caller's own source."""


def breaking_source(after: int) -> Iterator[bytes]:
    for _ in range(after):
        yield b"x" * MiB
    raise SourceError("the caller's own")


class UploadsCases:
    """A stream becomes an object when it has ended well, and nothing otherwise."""

    @pytest.mark.parametrize("after", [0, 1, 2, 7])
    def test_a_source_that_raises_publishes_nothing_and_its_error_comes_out(
        self, storage: StorageClient, after: int
    ) -> None:
        with pytest.raises(SourceError, match="the caller's own"):
            storage.upload_from_stream("bucket", "key", breaking_source(after))

        with pytest.raises(ObjectNotFoundError):
            storage.head_object("bucket", "key")

    def test_a_source_that_raises_leaves_the_old_object(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"old")
        with pytest.raises(SourceError):
            storage.upload_from_stream("bucket", "key", breaking_source(3))

        assert storage.get_object("bucket", "key") == b"old"

    def test_an_open_file_is_stored_from_where_it_stands(self, storage: StorageClient) -> None:
        file = io.BytesIO(b"skipped" + b"kept" * MiB)
        file.seek(7)
        put = storage.upload_from_stream("bucket", "key", file)

        assert put["size"] == 4 * MiB
        assert storage.get_object("bucket", "key") == b"kept" * MiB

    def test_pieces_of_any_size_make_one_object(self, storage: StorageClient) -> None:
        pieces = [b"a", b"", b"b" * (2 * MiB + 1), b"c" * 10, b"d" * MiB]
        storage.upload_from_stream("bucket", "key", iter(pieces))

        assert storage.get_object("bucket", "key") == b"".join(pieces)
