"""What was acknowledged is there after the engine was closed and opened again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing.contract.store_face import StoreFace
from actorc.storage.testing.contract.subject import Subject

KiB = 1 << 10


class DurabilityCases(Subject):
    """An engine that is durable says so, and is."""

    def test_what_was_stored_is_there_when_the_engine_is_opened_again(self, tmp_path: Path) -> None:
        with closing(self.open_engine(tmp_path)) as engine:
            if not engine.durable:
                pytest.skip("the engine is not durable")
            before = StoreFace(ObjectStore(engine))
            before.create_bucket("bucket")
            put = before.put_object("bucket", "key", b"x" * 40 * KiB, metadata={"a": "ä"})
            before.put_object("bucket", "small", b"small")
            upload_id = before.create_multipart_upload("bucket", "parts")["upload_id"]
            part = before.upload_part("bucket", "parts", upload_id, 1, b"y" * 40 * KiB)
            heads = before.list_objects("bucket")["objects"]

        with closing(self.open_engine(tmp_path)) as engine:
            after = StoreFace(ObjectStore(engine))
            assert after.list_objects("bucket")["objects"] == heads
            assert after.get_object("bucket", "key", generation=put["generation"]) == b"x" * 40 * KiB
            assert after.get_object("bucket", "small") == b"small"
            whole = after.complete_multipart_upload("bucket", "parts", upload_id, [part])
            assert after.get_object("bucket", "parts") == b"y" * 40 * KiB
            assert whole["generation"] > put["generation"]
