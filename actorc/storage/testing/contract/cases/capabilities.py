"""What an engine lacks is refused, by name, and never done by halves."""

from __future__ import annotations

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError, UnsupportedError
from actorc.storage.server.engines.base import CAPABILITIES
from actorc.storage.testing.contract.demands import refused_without
from actorc.storage.testing.contract.subject import Subject


class CapabilitiesCases(Subject):
    """An engine has what it is said to have, and refuses the rest."""

    def test_the_engine_has_all_capabilities_but_those_it_is_said_to_lack(self, storage: StorageClient) -> None:
        assert set(storage.server_info()["capabilities"]) == set(CAPABILITIES) - set(self.lacks)

    @refused_without("any-key")
    @pytest.mark.parametrize("key", ["a/", "a//b", "./a", "a/..", "a\nb", "a\x7f", "a\ufffe", "k" * 1024])
    def test_a_key_that_cannot_be_stored_is_refused_wherever_it_is_named(
        self, storage: StorageClient, key: str
    ) -> None:
        storage.put_object("bucket", "source", b"x")

        for act in (
            lambda: storage.put_object("bucket", key, b"x"),
            lambda: storage.upload_from_stream("bucket", key, [b"x"]),
            lambda: storage.get_object("bucket", key),
            lambda: storage.head_object("bucket", key),
            lambda: storage.delete_object("bucket", key),
            lambda: storage.copy_object("bucket", key, "bucket", "copy"),
            lambda: storage.copy_object("bucket", "source", "bucket", key),
            lambda: storage.create_multipart_upload("bucket", key),
        ):
            with pytest.raises(InvalidParameterError, match="use another key") as caught:
                act()
            assert (caught.value.bucket, caught.value.key) == ("bucket", key)
        assert list(storage.delete_objects("bucket", ["source", key])["errors"]) == [key]
        assert storage.list_objects("bucket")["objects"] == []

    @refused_without("ttl")
    def test_an_object_that_cannot_expire_is_not_stored(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "source", b"x")

        for act in (
            lambda: storage.put_object("bucket", "key", b"x", ttl=60),
            lambda: storage.upload_from_stream("bucket", "key", [b"x"], ttl=60),
            lambda: storage.copy_object("bucket", "source", "bucket", "key", ttl=60),
            lambda: storage.create_multipart_upload("bucket", "key", ttl=60),
        ):
            with pytest.raises(UnsupportedError, match="ttl"):
                act()
        assert not storage.object_exists("bucket", "key")

    @refused_without("delete-if-match")
    def test_a_delete_that_cannot_be_bound_deletes_nothing(self, storage: StorageClient) -> None:
        etag = storage.put_object("bucket", "key", b"x")["etag"]

        with pytest.raises(UnsupportedError, match="if_match"):
            storage.delete_object("bucket", "key", if_match=etag)
        assert storage.object_exists("bucket", "key")

    @refused_without("long-metadata")
    def test_metadata_that_is_too_long_or_no_text_of_a_header_is_refused(self, storage: StorageClient) -> None:

        for options in ({"metadata": {"a": "b" * 2000}}, {"content_type": "text/ä"}, {"content_type": " text/plain"}):
            with pytest.raises(InvalidParameterError, match="storage engine"):
                storage.put_object("bucket", "key", b"x", **options)
        storage.put_object("bucket", "key", b"x", metadata={"a": "b" * 1700, "spaces": "  a   b ", "ä": "\n\x00😀"})
        assert storage.head_object("bucket", "key")["metadata"]["spaces"] == "  a   b "
