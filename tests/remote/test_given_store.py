"""What a store must do for the engine to be right over it; the one test that is there, and skipped, without a store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import pytest

pytestmark = pytest.mark.slow


def test_a_conditional_write_has_one_winner(store_url):
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import S3Store

    url = urlsplit(store_url)
    options = {"prefix": url.path, "client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}
    store = S3Store(url.netloc, **dict(parse_qsl(url.query)), **options)

    def create(number):
        try:
            return store.put("free", b"%d" % number, mode="create")["e_tag"]
        except AlreadyExistsError:
            return None

    def replace(number):
        try:
            store.put("taken", b"%d" % number, mode={"e_tag": etag.strip('"')})
        except BaseError:
            return None
        return number

    etag = store.put("taken", b"before")["e_tag"]
    with ThreadPoolExecutor(16) as threads:
        created = [each for each in threads.map(create, range(16)) if each]
        replaced = [each for each in threads.map(replace, range(16)) if each is not None]

    assert [store.head("free")["e_tag"]] == created
    assert [int(store.get("taken").bytes())] == replaced
