"""Objects as read-only memory."""

from __future__ import annotations

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidRangeError, NotFoundError, PreconditionFailedError

MiB = 1 << 20
WHOLE = bytes(range(256)) * (2 * MiB // 256) + b"end"


class ViewsCases:
    """A view has the bytes of one generation, for as long as it is kept."""

    @pytest.mark.parametrize("size", [0, 5, MiB, 2 * MiB + 3])
    def test_a_view_is_read_only_memory_of_the_bytes(self, storage: StorageClient, size: int) -> None:
        storage.put_object("bucket", "key", WHOLE[:size])

        view = storage.get_object("bucket", "key", as_view=True)

        assert view == WHOLE[:size]
        assert (view.readonly, view.format, view.nbytes) == (True, "B", size)

    @pytest.mark.parametrize(("offset", "length"), [(0, 4), (7, None), (MiB - 1, 2), (MiB, MiB), (2 * MiB + 3, 1)])
    def test_a_view_of_a_range_is_cut_as_a_slice_would(
        self, storage: StorageClient, offset: int, length: int | None
    ) -> None:
        storage.put_object("bucket", "key", WHOLE)

        view = storage.get_object("bucket", "key", offset=offset, length=length, as_view=True)

        assert view == WHOLE[offset:][:length]

    def test_a_view_of_an_object_of_parts_is_one(self, storage: StorageClient) -> None:
        upload_id = storage.create_multipart_upload("bucket", "key")["upload_id"]
        pieces = [WHOLE, b"small", WHOLE[: MiB + 1]]
        parts = [storage.upload_part("bucket", "key", upload_id, at, piece) for at, piece in enumerate(pieces, 1)]
        storage.complete_multipart_upload("bucket", "key", upload_id, parts)

        assert storage.get_object("bucket", "key", as_view=True) == b"".join(pieces)
        middle = storage.get_object("bucket", "key", offset=len(WHOLE) - 1, length=7, as_view=True)
        assert middle == WHOLE[-1:] + b"small" + WHOLE[:1]

    def test_a_view_outlives_the_object(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", WHOLE)
        view = storage.get_object("bucket", "key", as_view=True)

        storage.put_object("bucket", "key", b"other")
        storage.delete_object("bucket", "key")

        assert view == WHOLE

    def test_what_cannot_be_read_cannot_be_viewed(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", WHOLE)

        with pytest.raises(NotFoundError):
            storage.get_object("bucket", "missing", as_view=True)
        with pytest.raises(InvalidRangeError):
            storage.get_object("bucket", "key", offset=len(WHOLE) + 1, as_view=True)
        with pytest.raises(PreconditionFailedError):
            storage.get_object("bucket", "key", if_match="other", as_view=True)
