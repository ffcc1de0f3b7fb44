"""Listings: order, prefixes, delimiters, pages."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ListResult
from actorc.storage.testing.contract.demands import rule
from actorc.storage.testing.contract.store_face import StoreFace

KEYS = ["a", "a/1", "a/2/x", "a/2/y", "a-b", "b", "b/1", "c/d", "é", "日本"]
ODD_KEYS = ["a/", "c//d"]


def names(page: ListResult) -> list[str]:
    return [found["key"] for found in page["objects"]]


class ListingCases:
    """Names come in byte order, each once, in pages of any size."""

    @pytest.fixture
    def keys(self, storage: StorageClient) -> list[str]:
        return KEYS + (ODD_KEYS if "any-key" in storage.server_info()["capabilities"] else [])

    @pytest.fixture
    def listed(self, storage: StorageClient, beneath: StoreFace, keys: list[str]) -> StorageClient:
        for key in keys:
            beneath.put_object("bucket", key, key.encode())
        return storage

    def test_keys_come_in_byte_order(self, listed: StorageClient, keys: list[str]) -> None:
        assert names(listed.list_objects("bucket")) == sorted(keys, key=str.encode)

    def test_a_listed_object_is_described_as_by_head(self, listed: StorageClient) -> None:
        for found in listed.list_objects("bucket", "a/2")["objects"]:
            assert found == listed.head_object("bucket", found["key"])

    def test_a_listing_without_details_has_the_same_names_with_their_sizes(self, listed: StorageClient) -> None:
        described = listed.list_objects("bucket", delimiter="/")

        page = listed.list_objects("bucket", delimiter="/", details=False)

        assert names(page) == names(described)
        assert page["common_prefixes"] == described["common_prefixes"]
        assert [found["size"] for found in page["objects"]] == [found["size"] for found in described["objects"]]
        for found in page["objects"]:
            assert (found["bucket"], found["last_modified"].tzinfo is not None) == ("bucket", True)
            assert (found["etag"], found["generation"], found["crc32c"]) == ("", 0, "")
            assert (found["content_type"], found["metadata"], found["expires_at"]) == ("", {}, None)

    def test_pages_without_details_join_to_the_whole_listing(self, listed: StorageClient, keys: list[str]) -> None:
        token: str | None = None
        found: list[str] = []
        while token is not None or not found:
            page = listed.list_objects("bucket", max_keys=3, page_token=token, details=False)
            found += names(page)
            token = page["next_page_token"]

        assert found == sorted(keys, key=str.encode)

    @rule
    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/2", "b/1", "nothing", "é", "/", "a//", ".", "a/2/../", "a\n"])
    def test_a_prefix_is_text_and_not_a_path_segment(self, listed: StorageClient, keys: list[str], prefix: str) -> None:
        expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)

        page = listed.list_objects("bucket", prefix)

        assert names(page) == expected
        assert (page["prefix"], page["is_truncated"], page["next_page_token"]) == (prefix, False, None)

    def test_a_delimiter_rolls_names_up(self, listed: StorageClient) -> None:
        page = listed.list_objects("bucket", delimiter="/")

        assert names(page) == ["a", "a-b", "b", "é", "日本"]
        assert page["common_prefixes"] == ["a/", "b/", "c/"]

    def test_a_delimiter_counts_behind_the_prefix_only(self, listed: StorageClient, keys: list[str]) -> None:
        page = listed.list_objects("bucket", "a/", delimiter="/")

        assert names(page) == [key for key in ("a/", "a/1") if key in keys]
        assert page["common_prefixes"] == ["a/2/"]

    def test_any_text_delimits(self, listed: StorageClient) -> None:
        page = listed.list_objects("bucket", delimiter="/2/")

        assert page["common_prefixes"] == ["a/2/"]

    @rule
    @pytest.mark.parametrize("delimiter", ["", "/", "//"])
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_pages_join_to_the_whole_listing(self, listed: StorageClient, delimiter: str, size: int) -> None:
        keys, prefixes, token = [], [], None
        while True:
            page = listed.list_objects("bucket", max_keys=size, delimiter=delimiter, page_token=token)
            assert len(page["objects"]) + len(page["common_prefixes"]) <= size
            keys += names(page)
            prefixes += page["common_prefixes"]
            token = page["next_page_token"]
            assert page["is_truncated"] == (token is not None)
            if token is None:
                break
        whole = listed.list_objects("bucket", delimiter=delimiter)

        assert (keys, prefixes) == (names(whole), whole["common_prefixes"])

    def test_an_empty_bucket_lists_nothing(self, storage: StorageClient) -> None:
        page = storage.list_objects("bucket")

        assert (page["objects"], page["common_prefixes"], page["is_truncated"]) == ([], [], False)

    def test_a_page_token_survives_the_object_it_names(self, listed: StorageClient, keys: list[str]) -> None:
        page = listed.list_objects("bucket", max_keys=3)
        for found in page["objects"]:
            listed.delete_object("bucket", found["key"])
        rest = listed.list_objects("bucket", page_token=page["next_page_token"])

        assert names(rest) == sorted(keys, key=str.encode)[3:]

    @rule
    @pytest.mark.parametrize("forged", ["nonsense", "AAAA", "é"])
    def test_a_forged_page_token_is_refused(self, listed: StorageClient, forged: str) -> None:
        with pytest.raises(InvalidParameterError):
            listed.list_objects("bucket", page_token=forged)

    def test_a_page_token_belongs_to_its_listing(self, listed: StorageClient) -> None:
        token = listed.list_objects("bucket", max_keys=2)["next_page_token"]

        with pytest.raises(InvalidParameterError):
            listed.list_objects("bucket", "a", page_token=token)

    @rule
    # a case of a class that several inherit is met over several engines, in a bucket that each example empties
    @settings(
        deadline=None,
        suppress_health_check=[
            HealthCheck.differing_executors,
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
        ],
    )
    @given(
        keys=st.sets(
            st.text(alphabet="ab/é", min_size=1, max_size=6).filter(lambda key: not key.startswith("/")), max_size=12
        ),
        prefix=st.text(alphabet="ab/", max_size=3),
        delimiter=st.sampled_from(["", "/", "b", "//"]),
        size=st.integers(1, 4),
    )
    def test_any_listing_equals_one_computed_by_hand(
        self, storage: StorageClient, keys: set[str], prefix: str, delimiter: str, size: int
    ) -> None:
        if "any-key" not in storage.server_info()["capabilities"]:
            keys = {key for key in keys if "//" not in key and not key.endswith("/")}
        for found in storage.list_objects("bucket")["objects"]:
            storage.delete_object("bucket", found["key"])
        for key in keys:
            storage.put_object("bucket", key, b"")
        matching = [key for key in keys if key.startswith(prefix)]
        rolled = {
            key[: key.index(delimiter, len(prefix)) + len(delimiter)]
            if delimiter and delimiter in key[len(prefix) :]
            else key
            for key in matching
        }
        expected = sorted(rolled, key=str.encode)

        shown: list[str] = []
        token = None
        while True:
            page = storage.list_objects("bucket", prefix, size, delimiter=delimiter, page_token=token)
            shown += sorted([*names(page), *page["common_prefixes"]], key=str.encode)
            token = page["next_page_token"]
            if token is None:
                break

        assert shown == expected
