"""Signing and reading URLs, without a server and without a clock."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import InvalidParameterError, StorageClient
from actorc.storage._wire.call_signing import derived_key
from actorc.storage._wire.url_signing import MAX_EXPIRES, Grant, check_grant, is_signed_with, read_url, sign_url

KEY = derived_key("secret")
ENDPOINT = "http://127.0.0.1:9001"
DAY = 24 * 3600


def grant(**changes):
    fields = {"method": "PUT", "bucket": "bucket", "key": "key", "expires_at": 1_800_000_000, **changes}
    return Grant(**fields)


def target(url):
    """Return what a client sends of a URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def signed(**changes):
    return sign_url(ENDPOINT, KEY, "AK", grant(**changes))


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)


@given(key=keys.filter(lambda key: not key.startswith("/")))
def test_any_key_comes_back_as_it_was_and_its_signature_holds(key):
    url = read_url(target(signed(key=key)))

    assert grant(key=key) == url.grant
    assert is_signed_with(KEY, url)


@pytest.mark.parametrize("key", ["..", ".", "a/../b", "a/./b", "../x", "a//b", "a/", "x/.."])
def test_no_segment_of_a_path_is_empty_or_made_of_dots(key):
    path = urlsplit(signed(key=key)).path

    assert {"", ".", ".."}.isdisjoint(path.removeprefix("/o/bucket/").split("/"))
    assert path.isascii()


def test_slashes_of_an_ordinary_key_are_readable():
    assert urlsplit(signed(key="a/b/c d.txt")).path == "/o/bucket/a/b/c%20d.txt"


def test_everything_that_is_granted_is_in_the_url():
    url = read_url(target(signed(max_size=10, content_type='text/plain; charset="ü"')))

    assert grant(max_size=10, content_type='text/plain; charset="ü"') == url.grant
    assert url.access_key == "AK"


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "DELETE"},
        {"bucket": "other-bucket"},
        {"key": "other"},
        {"expires_at": 1_800_000_001},
        {"max_size": 11},
        {"max_size": None},
        {"content_type": "text/html"},
        {"content_type": None},
    ],
    ids=lambda changed: " ".join(map(str, *changed.items())),
)
def test_no_part_of_a_grant_can_be_changed(changed):
    allowed = {"max_size": 10, "content_type": "text/plain"}
    proof = parse_qs(urlsplit(signed(**allowed)).query)["acs-sig"][0]
    forged = sign_url(ENDPOINT, b"forged", "AK", grant(**{**allowed, **changed}))
    parameters = parse_qs(urlsplit(forged).query)

    assert not is_signed_with(KEY, read_url(target(forged.replace(parameters["acs-sig"][0], proof))))


def test_neither_another_key_nor_the_name_of_another_key_verifies():
    url = read_url(target(signed()))
    renamed = read_url(target(signed().replace("acs-key=AK", "acs-key=AX")))

    assert not is_signed_with(derived_key("other"), url)
    assert not is_signed_with(KEY, renamed)


def test_what_trackers_append_changes_nothing():
    assert is_signed_with(KEY, read_url(target(signed()) + "&utm_source=mail"))


@pytest.mark.parametrize(
    "wrong",
    [
        "/",
        "/o/bucket/key",
        "/o/bucket/?" + urlsplit(signed()).query,
        "/o/key?" + urlsplit(signed()).query,
        "/o/b/key?" + urlsplit(signed()).query,
        "/x/bucket/key?" + urlsplit(signed()).query,
        "/o/bucket/%FF?" + urlsplit(signed()).query,
        "/o/bucket/%00?" + urlsplit(signed()).query,
        target(signed()) + "&acs-m=PUT",
        target(signed()) + "&acs-more=1",
        target(signed()).replace("acs-v=1", "acs-v=2"),
        target(signed()).replace("acs-m=PUT", "acs-m=POST"),
        target(signed()).replace("acs-exp=18", "acs-exp=-1"),
        target(signed()).replace("acs-exp=18", "acs-exp=²"),
        target(signed()) + "&a" * 50,
    ],
)
def test_what_is_no_presigned_url_is_refused(wrong):
    with pytest.raises(InvalidParameterError, match="not one that was presigned"):
        read_url(wrong)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "POST"}, "GET, HEAD, PUT, DELETE"),
        ({"method": "get"}, "GET, HEAD, PUT, DELETE"),
        ({"expires": 0}, "1 or more"),
        ({"expires": 7 * DAY + 1}, "seven days"),
        ({"expires": 1.5}, "1 or more"),
        ({"bucket": "B"}, "bucket name"),
        ({"key": "/key"}, "drop the slash"),
        ({"max_size": 1}, "leave them out"),
        ({"content_type": "text/plain"}, "leave them out"),
        ({"method": "PUT", "max_size": 0}, "1 or more"),
        ({"method": "PUT", "content_type": "text\n"}, "control characters"),
    ],
)
def test_a_grant_that_is_not_allowed_is_refused(arguments, said):
    fields = {"method": "GET", "bucket": "bucket", "key": "key", "expires": 60, "now": 0.0, **arguments}

    with pytest.raises(InvalidParameterError, match=said):
        check_grant(**fields)


def test_a_url_may_be_good_for_seven_days():
    allowed = check_grant("GET", "bucket", "key", expires=MAX_EXPIRES, now=100.5)

    assert allowed.expires_at == 101 + 7 * DAY


def test_a_client_with_keys_that_knows_the_endpoint_needs_no_server(monkeypatch):
    monkeypatch.setenv("STORAGE_HTTP_ENDPOINT", "https://storage.example.org/base/")
    with StorageClient("127.0.0.1:1", "AK", "secret") as client:
        url = client.presign_url("bucket", "a b", "PUT", max_size=5)

    read = read_url(target(url).removeprefix("/base"))
    assert url.startswith("https://storage.example.org/base/o/bucket/a%20b?")
    assert is_signed_with(KEY, read)
    assert "secret" not in url


@pytest.mark.parametrize(
    "wrong",
    ["storage:9001", "ftp://storage", "http://", "http://a b", "http://u:p@host", "http://h/?q", "http://h:x"],
)
def test_an_endpoint_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidParameterError, match="http_endpoint argument"):
        StorageClient("127.0.0.1:1", http_endpoint=wrong)
